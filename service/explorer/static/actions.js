/**
 * Keeps the state's parts in step: what is chosen decides what is fetched. Views read the state and
 * call these.
 */

import * as api from "./api.js";
import { Problem } from "./api.js";
import { positionOf } from "./maps.js";
import { chosenLayer } from "./state.js";
import { Latest } from "./store.js";

/**
 * The parts of the state that are fetched here.
 * @type {import("./store.js").Key[]}
 */
const FETCHED = ["models", "layers", "samples", "prediction", "maps", "fields"];
const MAPS_KEPT = 12;
const NOTHING_CHOSEN = { channel: null, unit: null, pointed: null, pixel: null };
const GONE = 404;
const IMPOSSIBLE = 422;

export class Actions {
  #store;
  #fetching;
  /** @type {Map<string, import("./maps.js").Maps>} Least recently used first. */
  #kept = new Map();
  /**
   * Gives the network once more what was given last.
   * @type {() => any}
   */
  #again = () => {};
  #shown = "";

  /**
   * @param {import("./store.js").Store} store
   */
  constructor(store) {
    this.#store = store;
    this.#fetching = Object.fromEntries(FETCHED.map((key) => [key, new Latest(store, key)]));
    store.on(["prediction", "model"], (state) => this.#takeInput(state));
    store.on(["layers", "layer", "input"], () => this.#fetchLayer());
    store.on(["maps", "layer", "channel", "unit"], (state) => this.#chooseStrongest(state));
  }

  /** @param {import("./state.js").State} state */
  #takeInput({ scene: { model, input }, prediction }) {
    const id =
      prediction.status === "ready" && prediction.value.spec === model
        ? prediction.value.input_id
        : null;
    if (prediction.status === "loading" && input !== null) return;
    this.#store.setScene({ input: id });
  }

  #fetchLayer() {
    const { model, input } = this.#store.state.scene;
    const described = chosenLayer(this.#store.state);
    if (!described || input === null) {
      this.#fetching.maps.clear();
      this.#fetching.fields.clear();
      return;
    }
    this.#fetching.maps.load((signal) => this.#mapsOf(model, described, input, signal), {
      keep: this.#sameLayer(),
    });
    this.#fetching.fields.load((signal) => tables(model, described, input, signal), {
      keep: this.#sameLayer(),
    });
  }

  #sameLayer() {
    const now = `${this.#store.state.scene.model} ${this.#store.state.scene.layer}`;
    const same = now === this.#shown;
    this.#shown = now;
    return same;
  }

  /**
   * @param {string | null} model
   * @param {import("./state.js").LayerSummary} layer
   * @param {string} input
   * @param {AbortSignal} signal
   */
  async #mapsOf(model, layer, input, signal) {
    const key = `${model} ${layer.index} ${input}`;
    const maps = this.#kept.get(key) ?? (await api.activations(model, layer, input, {}, signal));
    this.#kept.delete(key);
    this.#kept.set(key, maps);
    if (this.#kept.size > MAPS_KEPT) this.#kept.delete(this.#kept.keys().next().value);
    return Object.assign(maps, { layer: layer.index, input });
  }

  /**
   * A unit is always chosen, so that there is something to see: at first the strongest one.
   * @param {import("./state.js").State} state
   */
  #chooseStrongest({ scene: { maps, layer }, channel, unit }) {
    if (maps.status !== "ready" || maps.value.layer !== layer) return;
    const shown = maps.value;
    const fits =
      unit?.length === shown.size.length && unit.every((index, axis) => index < shown.size[axis]);
    if (fits && channel !== null && channel < shown.channels) return;
    // A link may name a channel alone: then the strongest unit of that one.
    const named = unit === null && channel !== null && channel < shown.channels;
    const place =
      largest(named ? shown.map(channel) : shown.data) + (named ? channel * shown.length : 0);
    this.#store.set({
      channel: Math.floor(place / shown.length),
      unit: positionOf(place % shown.length, shown.size),
    });
  }

  loadModels() {
    return this.#fetching.models.load(api.models);
  }

  /** @param {string} spec `NAME` or `NAME:VERSION`. */
  chooseModel(spec) {
    if (this.#store.state.scene.model === spec) return;
    this.#store.setScene({ model: spec, layer: null });
    this.#store.set({ ...NOTHING_CHOSEN, blank: false });
    this.#fetching.prediction.clear();
    this.#fetching.maps.clear();
    this.#fetching.fields.clear();
    this.#again = () => {};
    this.describeModel();
  }

  /** Ask what the chosen model consists of, and which samples it brings. */
  describeModel() {
    const {
      scene: { model },
    } = this.#store.state;
    this.#fetching.layers.load(async (signal) => (await api.layers(model, signal)).layers, {
      keep: false,
    });
    this.#fetching.samples.load(async (signal) => (await api.samples(model, signal)).samples, {
      keep: false,
    });
  }

  /**
   * Give the network something to see.
   * @param {Blob} blob
   * @param {{name: string, own: boolean, drawn?: boolean}} about What to call it; whether it is the
   *   user's and not a sample.
   */
  offer(blob, about) {
    const {
      scene: { model },
    } = this.#store.state;
    this.#again = () => this.offer(blob, about);
    this.#store.set({ given: { blob, ...about }, blank: false });
    return this.#fetching.prediction.load((signal) => predictionOf(model, blob, signal));
  }

  /** Give it nothing: an empty sheet. */
  clear() {
    this.#store.set({ given: null, blank: true });
    this.#fetching.prediction.clear();
  }

  /**
   * Give it a sample of the model.
   * @param {string} file
   */
  async offerSample(file) {
    const {
      scene: { model },
    } = this.#store.state;
    this.#again = () => this.offerSample(file);
    this.#store.set({ blank: false });
    await this.#fetching.prediction.load(async (signal) => {
      const blob = await api.blob(api.sampleAddress(model, file), signal);
      this.#store.set({ given: { blob, name: file, own: false } });
      return predictionOf(model, blob, signal);
    });
  }

  /**
   * Give it an input that was posted before.
   * @param {string} id
   */
  async recall(id) {
    const {
      scene: { model },
    } = this.#store.state;
    this.#again = () => this.recall(id);
    this.#store.set({ blank: false });
    await this.#fetching.prediction.load(async (signal) => {
      const blob = await api.blob(api.inputAddress(id), signal);
      this.#store.set({ given: { blob, name: "an input posted before", own: true } });
      return predictionOf(model, blob, signal);
    });
  }

  /** @param {number} index */
  chooseLayer(index) {
    if (this.#store.state.scene.layer === index) return;
    this.#store.setScene({ layer: index });
    this.#store.set(NOTHING_CHOSEN);
  }

  /**
   * @param {number | null} channel
   * @param {number[] | null} unit
   */
  chooseUnit(channel, unit) {
    return this.#store.set({ channel, unit });
  }

  /** @param {{channel: number, unit: number[]} | null} pointed */
  point(pointed) {
    return this.#store.set({ pointed });
  }

  /**
   * @param {number[] | null} pixel Of the source as it is shown: see `pixelOn` in the state.
   * @param {"picture" | "source" | null} on
   */
  pointAtPixel(pixel, on) {
    return this.#store.set({ pixel, pixelOn: on });
  }

  retryInput() {
    return this.#again();
  }

  /** The layer once more; an input that the service has forgotten is posted again before. */
  async retry() {
    const {
      scene: { maps },
      given,
    } = this.#store.state;
    if (maps.error?.status === GONE && given !== null) await this.offer(given.blob, given);
    this.#fetchLayer();
  }
}

/**
 * @param {string | null} model
 * @param {Blob} blob
 * @param {AbortSignal} signal
 */
async function predictionOf(model, blob, signal) {
  try {
    const answer = await api.predict(model, blob, signal);
    return { ...answer, spec: model, trouble: null };
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== IMPOSSIBLE) throw error;
    // Perhaps only the output is no list of classes: the layers can still be seen.
    const id = await api.keep(model, blob, signal).catch(() => Promise.reject(error));
    return { input_id: id, predictions: [], spec: model, trouble: error };
  }
}

/**
 * @param {string | null} model
 * @param {import("./state.js").LayerSummary} layer
 * @param {string | null} input
 * @param {AbortSignal} signal
 */
async function tables(model, layer, input, signal) {
  const table = await api.receptiveFields(model, layer.index, { input_id: input }, signal);
  return { ...table, input };
}

/**
 * Place of the largest number.
 * @param {ArrayLike<number>} values
 */
export function largest(values) {
  let best = 0;
  for (let place = 1; place < values.length; place += 1) {
    if (values[place] > values[best] || Number.isNaN(values[best])) best = place;
  }
  return best;
}
