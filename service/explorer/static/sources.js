/** Keeps the state's parts in step: what is chosen decides what is fetched. Views read the state and call these. */

import * as api from "./api.js";
import { Problem } from "./api.js";
import { positionOf } from "./maps.js";
import { latest } from "./store.js";

const MAPS_KEPT = 12;
const GONE = 404;
const IMPOSSIBLE = 422;

/**
 * @param {import("./store.js").Store} store
 */
export function createSources(store) {
  const fetching = Object.fromEntries(
    ["models", "layers", "samples", "prediction", "maps", "fields"].map((key) => [
      key,
      latest(store, key),
    ]),
  );
  /** @type {Map<string, import("./maps.js").Maps>} Least recently used first. */
  const kept = new Map();
  /** Gives the network once more what was given last. */
  let again = null;

  const sources = {
    loadModels: () => fetching.models.load(api.models),

    /** @param {string} spec `NAME` or `NAME:VERSION`. */
    chooseModel(spec) {
      if (store.state.model === spec) return;
      store.set({
        model: spec,
        blank: false,
        layer: null,
        channel: null,
        unit: null,
        pointed: null,
        pixel: null,
      });
      fetching.prediction.clear();
      fetching.maps.clear();
      fetching.fields.clear();
      again = null;
      sources.describeModel();
    },

    /** Ask what the chosen model consists of, and which samples it brings. */
    describeModel() {
      const { model } = store.state;
      fetching.layers.load(async (signal) => (await api.layers(model, signal)).layers, {
        keep: false,
      });
      fetching.samples.load(async (signal) => (await api.samples(model, signal)).samples, {
        keep: false,
      });
    },

    /**
     * Give the network something to see.
     * @param {Blob} blob
     * @param {{name: string, own: boolean}} about What to call it; whether it is the user's and not a sample.
     */
    offer(blob, about) {
      const { model } = store.state;
      again = () => sources.offer(blob, about);
      store.set({ given: { blob, ...about }, blank: false });
      return fetching.prediction.load((signal) => predictionOf(model, blob, signal));
    },

    /** Give it nothing: an empty sheet. */
    clear() {
      store.set({ given: null, blank: true });
      fetching.prediction.clear();
    },

    /** Give it a sample of the model. */
    async offerSample(file) {
      const { model } = store.state;
      again = () => sources.offerSample(file);
      store.set({ blank: false });
      await fetching.prediction.load(async (signal) => {
        const blob = await api.blob(api.sampleAddress(model, file), signal);
        store.set({ given: { blob, name: file, own: false } });
        return predictionOf(model, blob, signal);
      });
    },

    /** Give it an input that was posted before. */
    async recall(id) {
      const { model } = store.state;
      again = () => sources.recall(id);
      store.set({ blank: false });
      await fetching.prediction.load(async (signal) => {
        const blob = await api.blob(api.inputAddress(id), signal);
        store.set({ given: { blob, name: "an input posted before", own: true } });
        return predictionOf(model, blob, signal);
      });
    },

    chooseLayer(index) {
      if (store.state.layer !== index) {
        store.set({ layer: index, channel: null, unit: null, pointed: null, pixel: null });
      }
    },

    chooseUnit: (channel, unit) => store.set({ channel, unit }),

    /** @param {{channel: number, unit: number[]} | null} pointed */
    point: (pointed) => store.set({ pointed }),

    /** @param {number[] | null} pixel Of the source as it is shown: see `pixelOn` in the state. */
    pointAtPixel: (pixel, on) => store.set({ pixel, pixelOn: on }),

    retryInput: () => again?.(),

    /** The layer once more; an input that the service has forgotten is posted again before. */
    async retry() {
      const { maps, given } = store.state;
      if (maps.error?.status === GONE && given !== null) await sources.offer(given.blob, given);
      fetchLayer();
    },
  };

  async function predictionOf(model, blob, signal) {
    try {
      const found = await api.predict(model, blob, signal);
      return { ...found, spec: model, trouble: null };
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== IMPOSSIBLE) throw error;
      // Perhaps only the output is no list of classes: the layers can still be seen.
      const id = await api.keep(model, blob, signal).catch(() => Promise.reject(error));
      return { input_id: id, predictions: [], spec: model, trouble: error };
    }
  }

  function takeInput({ prediction, model, input }) {
    const found =
      prediction.status === "ready" && prediction.value.spec === model
        ? prediction.value.input_id
        : null;
    if (prediction.status === "loading" && input !== null) return;
    store.set({ input: found });
  }

  function fetchLayer() {
    const { model, layers, layer, input } = store.state;
    const described = layers.value?.[layer];
    if (!described || input === null) {
      fetching.maps.clear();
      fetching.fields.clear();
      return;
    }
    fetching.maps.load((signal) => mapsOf(model, described, input, signal), { keep: sameLayer() });
    fetching.fields.load((signal) => tables(model, described, input, signal), {
      keep: sameLayer(),
    });
  }

  let shown = "";
  function sameLayer() {
    const now = `${store.state.model} ${store.state.layer}`;
    const same = now === shown;
    shown = now;
    return same;
  }

  async function mapsOf(model, layer, input, signal) {
    const key = `${model} ${layer.index} ${input}`;
    const maps = kept.get(key) ?? (await api.activations(model, layer, input, {}, signal));
    kept.delete(key);
    kept.set(key, maps);
    if (kept.size > MAPS_KEPT) kept.delete(kept.keys().next().value);
    return Object.assign(maps, { layer: layer.index, input });
  }

  async function tables(model, layer, input, signal) {
    const found = await api.receptiveFields(model, layer.index, { input_id: input }, signal);
    return { ...found, input };
  }

  /** A unit is always chosen, so that there is something to see: at first the strongest one. */
  function chooseStrongest({ maps, layer, channel, unit }) {
    if (maps.status !== "ready" || maps.value.layer !== layer) return;
    const found = maps.value;
    const fits =
      unit?.length === found.size.length && unit.every((index, axis) => index < found.size[axis]);
    if (fits && channel !== null && channel < found.channels) return;
    // A link may name a channel alone: then the strongest unit of that one.
    const named = unit === null && channel !== null && channel < found.channels;
    const place =
      largest(named ? found.map(channel) : found.data) + (named ? channel * found.length : 0);
    store.set({
      channel: Math.floor(place / found.length),
      unit: positionOf(place % found.length, found.size),
    });
  }

  store.on(["prediction", "model"], takeInput);
  store.on(["layers", "layer", "input"], fetchLayer);
  store.on(["maps", "layer", "channel", "unit"], chooseStrongest);
  return sources;
}

/** @typedef {ReturnType<typeof createSources>} Sources */

/** Place of the largest number. */
export function largest(values) {
  let best = 0;
  for (let place = 1; place < values.length; place += 1) {
    if (values[place] > values[best] || Number.isNaN(values[best])) best = place;
  }
  return best;
}
