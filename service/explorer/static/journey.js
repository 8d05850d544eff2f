/**
 * From a link to the state and back: what a link asks for is given as soon as it can be, every state is written into
 * the address, and the browser's buttons lead through layers, inputs and models.
 */

import { chosenModel, mayTake } from "./accepted.js";
import { linkTo, readLink } from "./link.js";

const GONE = 404;
const NOTHING = { model: null, input: null, layer: null, channel: null, unit: null };

/**
 * @param {import("./store.js").Store} store
 * @param {import("./sources.js").Sources} sources
 * @param {(text: string) => void} say What of a link could not be given.
 */
export function begin(store, sources, say) {
  const { state } = store;
  /** What the link asks for and has not been given yet. */
  let wanted = readLink();
  /** Coming from a link or a button of the browser: no new step in the history, even if not all could be given. */
  let arriving = true;
  /** The unit that the link names, to be looked for on maps that are not there yet. */
  let unitAsked = null;
  let recalling = false;
  let wantsSample = false;

  function chooseFirstModel({ models, model }) {
    if (models.status !== "ready" || model !== null) return;
    const asked = specOf(wanted.model, models.value.models);
    if (wanted.model && !asked) {
      say(`The link's model ${wanted.model} is not served here.`);
      wanted = NOTHING;
    }
    const served = models.value.models;
    const first = served.find((each) => each.default) ?? served[0];
    if (asked ?? first) sources.chooseModel(asked ?? `${first.name}:${first.version}`);
  }

  function chooseFirstLayer({ layers, layer }) {
    if (layers.status !== "ready" || layer !== null || layers.value.length === 0) return;
    const place = wanted;
    wanted = { ...NOTHING, input: wanted.input };
    chooseWanted(place, 0);
  }

  /** The layer and unit of a link, or another layer where it has none of that index. */
  function chooseWanted({ layer, channel, unit }, fallback) {
    const count = state.layers.value.length;
    if (layer !== null && layer >= count) {
      say(`The link's layer ${layer} is not there: this model has layers 0 to ${count - 1}.`);
      sources.chooseLayer(fallback);
      return;
    }
    sources.chooseLayer(layer ?? fallback);
    if (layer === null || (unit === null && channel === null)) return;
    if (channel === state.channel && String(unit) === String(state.unit)) return;
    unitAsked = { layer, channel: channel ?? 0, unit };
    sources.chooseUnit(channel ?? 0, unit);
  }

  function missUnit({ maps, layer, channel, unit }) {
    if (
      unitAsked === null ||
      maps.status !== "ready" ||
      maps.value.layer !== layer ||
      unit === null
    )
      return;
    const { layer: of, channel: asked, unit: position } = unitAsked;
    unitAsked = null;
    if (
      of !== layer ||
      (asked === channel && (position === null || String(position) === String(unit)))
    )
      return;
    const named = position?.length
      ? `channel ${asked}, unit ${position.join(", ")}`
      : `channel ${asked}`;
    say(`The link's unit (${named}) is not on this layer's maps; the strongest one is chosen.`);
  }

  /** Something to see at once: the link's input, what the user gave, or the first sample. */
  function giveFirstInput({ model, prediction, given, blank, samples }) {
    if (model === null) return;
    if (wanted.input) {
      // Before all else, also before what is under way: a link is followed last.
      const { input } = wanted;
      wanted = { ...wanted, input: null };
      recall(input);
      return;
    }
    if (blank || prediction.status === "loading" || prediction.value?.spec === model) return;
    if (recalling && prediction.status === "failed") forgive(prediction.error);
    if (prediction.status !== "failed" || wantsSample) {
      if (!wantsSample && given?.own && mayTake(chosenModel(state), given.blob))
        sources.offer(given.blob, given);
      else if (samples.status === "ready" && samples.value.length > 0) {
        wantsSample = false;
        sources.offerSample(samples.value[0].file);
      }
    }
  }

  function recall(id) {
    recalling = true;
    sources.recall(id);
  }

  /** An input that is no longer kept: say so, and show a sample instead. */
  function forgive(error) {
    recalling = false;
    if (error.status !== GONE) return;
    say(`The link's input is not here any more: ${error.message}`);
    wantsSample = true;
  }

  function isUnderWay({ model, input, layer, layers, samples, prediction }) {
    if (
      model === null ||
      layers.status !== "ready" ||
      wanted.layer !== null ||
      wanted.input !== null
    )
      return true;
    if (layer === null && layers.value.length > 0) return true;
    return prediction.status === "loading" || (input === null && samples.status === "loading");
  }

  function writeLink() {
    // Browsers refuse more than some hundred changes of the address in a few seconds.
    if (state.playing || isUnderWay(state)) return;
    if (state.prediction.status === "ready") recalling = false;
    const { model, input, layer, channel, unit } = state;
    const before = readLink();
    const elsewhere = before.model !== model || before.input !== input || before.layer !== layer;
    const step = !arriving && before.model !== null && elsewhere;
    const link = linkTo({ model, input, layer, channel, unit });
    arriving = false;
    if (link !== location.hash) history[step ? "pushState" : "replaceState"](null, "", link);
  }

  /** The link's input, unless it is there already and nothing else is on its way. */
  function follow({ input }) {
    if (input && (input !== state.input || state.prediction.status === "loading")) recall(input);
  }

  /** A model that was chosen meanwhile is not the link's: nothing of it holds any more. */
  function forget({ models, model }) {
    if (model !== null && wanted.model && specOf(wanted.model, models.value.models) !== model)
      wanted = NOTHING;
  }

  function followLink() {
    const place = readLink();
    arriving = true;
    const spec = specOf(place.model, state.models.value?.models ?? []);
    if (place.model && !spec) say(`The link's model ${place.model} is not served here.`);
    if (spec && spec !== state.model) {
      wanted = place;
      sources.chooseModel(spec);
    } else if (spec && state.layers.status === "ready") {
      wanted = NOTHING;
      follow(place);
      chooseWanted(place, state.layer);
    } else if (spec) {
      wanted = { ...place, input: null };
      follow(place);
    }
    writeLink();
  }

  store.on(["models", "model"], chooseFirstModel);
  store.on(["model"], forget);
  store.on(["layers", "layer"], chooseFirstLayer);
  store.on(["samples", "model", "prediction"], giveFirstInput);
  store.on(["maps", "channel", "unit"], missUnit);
  store.on(
    ["model", "input", "layer", "channel", "unit", "layers", "samples", "prediction", "playing"],
    writeLink,
  );
  window.addEventListener("popstate", followLink);
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
