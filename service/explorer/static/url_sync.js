/**
 * From a link to the state and back: what a link asks for is given as soon as it can be, every
 * state is written into the address, and the browser's buttons lead through layers, inputs and
 * models.
 */

import { chosenModel, mayTake } from "./media_types.js";
import { linkTo, readLink } from "./link.js";

/**
 * What of a link is still to be given. Each part is null from the moment that it is given, or
 * turned out not to be there: the model once the models are listed, the input once a model is
 * chosen, layer, channel and unit once the model's layers are listed.
 * @typedef {import("./link.js").Place} Pending
 */
/**
 * Between the page and the address. "arriving": the state comes from a link or from a button of the
 * browser, so the address is replaced, even if not all could be given. "settled": the user chooses,
 * and another model, input or layer is a new step of the history.
 * @typedef {"arriving" | "settled"} Phase
 */
/**
 * Where the input comes from. "free": from the user or the samples. "recalling": a link's input was
 * asked for, and is not there yet. "replacing": the service has forgotten it, and the first sample
 * stands in as soon as it is listed.
 *
 *     free -> recalling              a link names an input
 *     recalling -> free              it is there, or it failed for another reason
 *     recalling -> replacing -> free it is gone; a sample was given
 * @typedef {"free" | "recalling" | "replacing"} InputPhase
 */
/** @typedef {import("./state.js").State} State */

const GONE = 404;
const NOTHING = { model: null, input: null, layer: null, channel: null, unit: null };

export class UrlSync {
  #actions;
  #say;
  #state;
  /** @type {Pending} */
  #pending = readLink();
  /** @type {Phase} */
  #phase = "arriving";
  /**
   * The unit that the link names, to be looked for on maps that are not there yet.
   * @type {{layer: number, channel: number, unit: number[] | null} | null}
   */
  #unitAsked = null;
  /** @type {InputPhase} */
  #inputPhase = "free";

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./actions.js").Actions} actions
   * @param {(text: string) => void} say What of a link could not be given.
   */
  constructor(store, actions, say) {
    this.#actions = actions;
    this.#say = say;
    this.#state = store.state;
    store.on(["models", "model"], (state) => this.#chooseFirstModel(state));
    store.on(["model"], (state) => this.#forget(state));
    store.on(["layers", "layer"], (state) => this.#chooseFirstLayer(state));
    store.on(["samples", "model", "prediction"], (state) => this.#giveFirstInput(state));
    store.on(["maps", "channel", "unit"], (state) => this.#missUnit(state));
    store.on(
      ["model", "input", "layer", "channel", "unit", "layers", "samples", "prediction", "playing"],
      () => this.#writeLink(),
    );
    window.addEventListener("popstate", () => this.#followLink());
  }

  /** @param {State} state */
  #chooseFirstModel({ scene: { model }, models }) {
    if (models.status !== "ready" || model !== null) return;
    const spec = specOf(this.#pending.model, models.value.models);
    if (this.#pending.model && !spec) {
      this.#say(`The link's model ${this.#pending.model} is not served here.`);
      this.#pending = NOTHING;
    }
    const served = models.value.models;
    const first = served.find((each) => each.default) ?? served[0];
    if (spec ?? first) this.#actions.chooseModel(spec ?? `${first.name}:${first.version}`);
  }

  /** @param {State} state */
  #chooseFirstLayer({ scene: { layer }, layers }) {
    if (layers.status !== "ready" || layer !== null || layers.value.length === 0) return;
    const place = this.#pending;
    this.#pending = { ...NOTHING, input: this.#pending.input };
    this.#chooseWanted(place, 0);
  }

  /**
   * The layer and unit of a link, or another layer where it has none of that index.
   * @param {Pending} pending
   * @param {number} fallback
   */
  #chooseWanted({ layer, channel, unit }, fallback) {
    const count = this.#state.layers.value?.length ?? 0;
    if (layer !== null && layer >= count) {
      this.#say(`The link's layer ${layer} is not there: this model has layers 0 to ${count - 1}.`);
      this.#actions.chooseLayer(fallback);
      return;
    }
    this.#actions.chooseLayer(layer ?? fallback);
    if (layer !== null && (unit !== null || channel !== null))
      this.#chooseUnit(layer, channel, unit);
  }

  /**
   * @param {number} layer
   * @param {number | null} channel
   * @param {number[] | null} unit
   */
  #chooseUnit(layer, channel, unit) {
    if (channel === this.#state.channel && String(unit) === String(this.#state.unit)) return;
    this.#unitAsked = { layer, channel: channel ?? 0, unit };
    this.#actions.chooseUnit(channel ?? 0, unit);
  }

  /** @param {State} state */
  #missUnit({ scene: { maps, layer }, channel, unit }) {
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

  /**
   * Something to see at once: the link's input, what the user gave, or the first sample.
   * @param {State} state
   */
  #giveFirstInput({ scene: { model }, prediction, blank }) {
    if (model === null) return;
    const { input } = this.#pending;
    if (input) {
      // Before all else, also before what is under way: a link is followed last.
      this.#pending = { ...this.#pending, input: null };
      this.#recall(input);
      return;
    }
    if (blank || prediction.status === "loading" || prediction.value?.spec === model) return;
    if (prediction.status === "failed" && this.#inputPhase === "recalling")
      this.#forgive(prediction.error);
    if (prediction.status !== "failed" || this.#inputPhase === "replacing") this.#giveStandIn();
  }

  /** What the user gave another model, if this one may take it, or the first sample. */
  #giveStandIn() {
    const { given, samples } = this.#state;
    const summary = chosenModel(this.#state);
    const again = this.#inputPhase !== "replacing" && given?.own && summary;
    if (again && mayTake(summary, given.blob)) {
      this.#actions.offer(given.blob, given);
      return;
    }
    const sample = samples.status === "ready" ? samples.value?.[0] : undefined;
    if (sample === undefined) return;
    if (this.#inputPhase === "replacing") this.#inputPhase = "free";
    this.#actions.offerSample(sample.file);
  }

  /** @param {string} id */
  #recall(id) {
    this.#inputPhase = "recalling";
    this.#actions.recall(id);
  }

  /**
   * An input that is no longer kept: say so, and show a sample instead.
   * @param {any} error
   */
  #forgive(error) {
    this.#inputPhase = error.status === GONE ? "replacing" : "free";
    if (error.status !== GONE) return;
    this.#say(`The link's input is not here any more: ${error.message}`);
  }

  /** @param {State} state */
  #isUnderWay({ scene: { model, input, layer }, layers, samples, prediction }) {
    if (
      model === null ||
      layers.status !== "ready" ||
      this.#pending.layer !== null ||
      this.#pending.input !== null
    )
      return true;
    if (layer === null && layers.value.length > 0) return true;
    return prediction.status === "loading" || (input === null && samples.status === "loading");
  }

  #writeLink() {
    // Browsers refuse more than some hundred changes of the address in a few seconds.
    if (this.#state.playing || this.#isUnderWay(this.#state)) return;
    if (this.#state.prediction.status === "ready" && this.#inputPhase === "recalling")
      this.#inputPhase = "free";
    const {
      scene: { model, input, layer },
      channel,
      unit,
    } = this.#state;
    const before = readLink();
    const elsewhere = before.model !== model || before.input !== input || before.layer !== layer;
    const step = this.#phase === "settled" && before.model !== null && elsewhere;
    const link = linkTo({ model, input, layer, channel, unit });
    this.#phase = "settled";
    if (link !== location.hash) history[step ? "pushState" : "replaceState"](null, "", link);
  }

  /**
   * The link's input, unless it is there already and nothing else is on its way.
   * @param {Pending} pending
   */
  #follow({ input }) {
    if (input && (input !== this.#state.scene.input || this.#state.prediction.status === "loading"))
      this.#recall(input);
  }

  /**
   * A model that was chosen meanwhile is not the link's: nothing of it holds any more.
   * @param {State} state
   */
  #forget({ scene: { model }, models }) {
    if (
      model !== null &&
      this.#pending.model &&
      specOf(this.#pending.model, models.value?.models ?? []) !== model
    )
      this.#pending = NOTHING;
  }

  #followLink() {
    const place = readLink();
    this.#phase = "arriving";
    const spec = specOf(place.model, this.#state.models.value?.models ?? []);
    if (place.model && !spec) this.#say(`The link's model ${place.model} is not served here.`);
    if (spec && spec !== this.#state.scene.model) {
      this.#pending = place;
      this.#actions.chooseModel(spec);
    } else if (spec && this.#state.layers.status === "ready") {
      this.#pending = NOTHING;
      this.#follow(place);
      this.#chooseWanted(place, this.#state.scene.layer ?? 0);
    } else if (spec) {
      this.#pending = { ...place, input: null };
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
  const model = served.find(
    (each) => each.name === name && (version === null || each.versions.includes(version)),
  );
  return model ? `${name}:${version ?? model.version}` : null;
}
