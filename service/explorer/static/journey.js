/**
 * From a link to the state and back: what a link asks for is given as soon as it can be, every state is written into
 * the address, and the browser's buttons lead through layers, inputs and models.
 */

import { chosenModel, mayTake } from "./accepted.js";
import { linkTo, readLink } from "./link.js";

const GONE = 404;
const NOTHING = { model: null, input: null, layer: null, channel: null, unit: null };

export class UrlSync {
  #sources;
  #say;
  #state;
  /** What the link asks for and has not been given yet. */
  #wanted = readLink();
  /** Coming from a link or a button of the browser: no new step in the history, even if not all could be given. */
  #arriving = true;
  /** The unit that the link names, to be looked for on maps that are not there yet. */
  #unitAsked = null;
  #recalling = false;
  #wantsSample = false;

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./sources.js").Sources} sources
   * @param {(text: string) => void} say What of a link could not be given.
   */
  constructor(store, sources, say) {
    this.#sources = sources;
    this.#say = say;
    const { state } = store;
    this.#state = state;
    store.on(["models", "model"], (value) => this.#chooseFirstModel(value));
    store.on(["model"], (value) => this.#forget(value));
    store.on(["layers", "layer"], (value) => this.#chooseFirstLayer(value));
    store.on(["samples", "model", "prediction"], (value) => this.#giveFirstInput(value));
    store.on(["maps", "channel", "unit"], (value) => this.#missUnit(value));
    store.on(
      ["model", "input", "layer", "channel", "unit", "layers", "samples", "prediction", "playing"],
      () => this.#writeLink(),
    );
    window.addEventListener("popstate", () => this.#followLink());
  }

  #chooseFirstModel({ models, model }) {
    if (models.status !== "ready" || model !== null) return;
    const asked = specOf(this.#wanted.model, models.value.models);
    if (this.#wanted.model && !asked) {
      this.#say(`The link's model ${this.#wanted.model} is not served here.`);
      this.#wanted = NOTHING;
    }
    const served = models.value.models;
    const first = served.find((each) => each.default) ?? served[0];
    if (asked ?? first) this.#sources.chooseModel(asked ?? `${first.name}:${first.version}`);
  }

  #chooseFirstLayer({ layers, layer }) {
    if (layers.status !== "ready" || layer !== null || layers.value.length === 0) return;
    const place = this.#wanted;
    this.#wanted = { ...NOTHING, input: this.#wanted.input };
    this.#chooseWanted(place, 0);
  }

  /** The layer and unit of a link, or another layer where it has none of that index. */
  #chooseWanted({ layer, channel, unit }, fallback) {
    const count = this.#state.layers.value.length;
    if (layer !== null && layer >= count) {
      this.#say(`The link's layer ${layer} is not there: this model has layers 0 to ${count - 1}.`);
      this.#sources.chooseLayer(fallback);
      return;
    }
    this.#sources.chooseLayer(layer ?? fallback);
    if (layer === null || (unit === null && channel === null)) return;
    if (channel === this.#state.channel && String(unit) === String(this.#state.unit)) return;
    this.#unitAsked = { layer, channel: channel ?? 0, unit };
    this.#sources.chooseUnit(channel ?? 0, unit);
  }

  #missUnit({ maps, layer, channel, unit }) {
    if (
      this.#unitAsked === null ||
      maps.status !== "ready" ||
      maps.value.layer !== layer ||
      unit === null
    )
      return;
    const { layer: of, channel: asked, unit: position } = this.#unitAsked;
    this.#unitAsked = null;
    if (
      of !== layer ||
      (asked === channel && (position === null || String(position) === String(unit)))
    )
      return;
    const named = position?.length
      ? `channel ${asked}, unit ${position.join(", ")}`
      : `channel ${asked}`;
    this.#say(
      `The link's unit (${named}) is not on this layer's maps; the strongest one is chosen.`,
    );
  }

  /** Something to see at once: the link's input, what the user gave, or the first sample. */
  #giveFirstInput({ model, prediction, given, blank, samples }) {
    if (model === null) return;
    if (this.#wanted.input) {
      // Before all else, also before what is under way: a link is followed last.
      const { input } = this.#wanted;
      this.#wanted = { ...this.#wanted, input: null };
      this.#recall(input);
      return;
    }
    if (blank || prediction.status === "loading" || prediction.value?.spec === model) return;
    if (this.#recalling && prediction.status === "failed") this.#forgive(prediction.error);
    if (prediction.status !== "failed" || this.#wantsSample) {
      if (!this.#wantsSample && given?.own && mayTake(chosenModel(this.#state), given.blob))
        this.#sources.offer(given.blob, given);
      else if (samples.status === "ready" && samples.value.length > 0) {
        this.#wantsSample = false;
        this.#sources.offerSample(samples.value[0].file);
      }
    }
  }

  #recall(id) {
    this.#recalling = true;
    this.#sources.recall(id);
  }

  /** An input that is no longer kept: say so, and show a sample instead. */
  #forgive(error) {
    this.#recalling = false;
    if (error.status !== GONE) return;
    this.#say(`The link's input is not here any more: ${error.message}`);
    this.#wantsSample = true;
  }

  #isUnderWay({ model, input, layer, layers, samples, prediction }) {
    if (
      model === null ||
      layers.status !== "ready" ||
      this.#wanted.layer !== null ||
      this.#wanted.input !== null
    )
      return true;
    if (layer === null && layers.value.length > 0) return true;
    return prediction.status === "loading" || (input === null && samples.status === "loading");
  }

  #writeLink() {
    // Browsers refuse more than some hundred changes of the address in a few seconds.
    if (this.#state.playing || this.#isUnderWay(this.#state)) return;
    if (this.#state.prediction.status === "ready") this.#recalling = false;
    const { model, input, layer, channel, unit } = this.#state;
    const before = readLink();
    const elsewhere = before.model !== model || before.input !== input || before.layer !== layer;
    const step = !this.#arriving && before.model !== null && elsewhere;
    const link = linkTo({ model, input, layer, channel, unit });
    this.#arriving = false;
    if (link !== location.hash) history[step ? "pushState" : "replaceState"](null, "", link);
  }

  /** The link's input, unless it is there already and nothing else is on its way. */
  #follow({ input }) {
    if (input && (input !== this.#state.input || this.#state.prediction.status === "loading"))
      this.#recall(input);
  }

  /** A model that was chosen meanwhile is not the link's: nothing of it holds any more. */
  #forget({ models, model }) {
    if (
      model !== null &&
      this.#wanted.model &&
      specOf(this.#wanted.model, models.value.models) !== model
    )
      this.#wanted = NOTHING;
  }

  #followLink() {
    const place = readLink();
    this.#arriving = true;
    const spec = specOf(place.model, this.#state.models.value?.models ?? []);
    if (place.model && !spec) this.#say(`The link's model ${place.model} is not served here.`);
    if (spec && spec !== this.#state.model) {
      this.#wanted = place;
      this.#sources.chooseModel(spec);
    } else if (spec && this.#state.layers.status === "ready") {
      this.#wanted = NOTHING;
      this.#follow(place);
      this.#chooseWanted(place, this.#state.layer);
    } else if (spec) {
      this.#wanted = { ...place, input: null };
      this.#follow(place);
    }
    this.#writeLink();
  }
}

/**
 * `NAME:VERSION` for what a link calls `NAME` or `NAME:VERSION`; null if it is not served.
 * @param {string | null} asked
 * @param {{name: string, version: string, versions: string[]}[]} served
 */
export function specOf(asked, served) {
  if (!asked) return null;
  const cut = asked.lastIndexOf(":");
  const [name, version] = cut < 0 ? [asked, null] : [asked.slice(0, cut), asked.slice(cut + 1)];
  const found = served.find(
    (each) => each.name === name && (version === null || each.versions.includes(version)),
  );
  return found ? `${name}:${version ?? found.version}` : null;
}
