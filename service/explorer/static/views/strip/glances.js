/** A glance at each layer in view: its strongest channels. Fetched when the input rests, few at a time. */

import * as api from "../../api.js";
import { paintGlance } from "./glance.js";
import { eachFrame } from "../../store.js";

const STRONGEST = 4;
const AT_ONCE = 3;
const REST_MS = 250;
/** How far beyond the visible part is fetched too, so that slow scrolling meets what is there. */
const MARGIN = "0px 160px";
const GIVEN_UP = "AbortError";

/**
 * @typedef {object} Glance
 * @property {HTMLElement} figure Has `data-state`: none, ready, stale or failed.
 * @property {HTMLCanvasElement} canvas
 * @property {import("./wiring.js").Size} size Of the canvas, in CSS pixels.
 * @property {(model: string, input: string, signal: AbortSignal) => Promise<import("../../maps.js").Maps>} fetching
 */

/** What fetches the strongest channels of a layer; all of them where a channel is one number. */
export const strongestOf = (layer) => (model, input, signal) => {
  const spatial = layer.output_shape.filter((_, axis) => axis !== layer.channel_axis);
  const choice = spatial.every((size) => size === 1) ? {} : { strongest: STRONGEST };
  return api.activations(model, layer, input, choice, signal);
};

/**
 * @param {import("../../store.js").Store} store
 * @param {HTMLElement} scroller What is in view of it is fetched.
 */
export function createGlances(store, scroller) {
  /**
   * `maps` were fetched for `from`, a model and an input; `failed` is the same for what could not be fetched.
   * @typedef {{seen: boolean, dirty: boolean, maps: any, from: string, failed: string}} Fetched
   * @type {Map<Element, Glance & Fetched & {controller: AbortController | null}>}
   */
  const slots = new Map();
  let resting = 0;
  const observer = new IntersectionObserver(look, { root: scroller, rootMargin: MARGIN });
  const repaint = eachFrame(() => slots.forEach((slot) => slot.seen && slot.dirty && draw(slot)));

  function look(entries) {
    for (const { target, isIntersecting } of entries) {
      const slot = slots.get(target);
      if (!slot) continue;
      slot.seen = isIntersecting;
      if (!isIntersecting) {
        slot.controller?.abort();
        slot.failed = "";
      }
    }
    repaint();
    fetchNext();
  }

  const wanted = () => `${store.state.model} ${store.state.input}`;

  function fetchNext() {
    if (store.state.input === null || resting) return;
    const all = [...slots.values()];
    const known = ({ from, failed }) => from === wanted() || failed === wanted();
    const waiting = all.filter((slot) => slot.seen && !slot.controller && !known(slot));
    const free = AT_ONCE - all.filter(({ controller }) => controller).length;
    waiting.slice(0, Math.max(free, 0)).forEach(fetchOne);
  }

  async function fetchOne(slot) {
    const controller = new AbortController();
    const from = wanted();
    slot.controller = controller;
    try {
      const maps = await slot.fetching(store.state.model, store.state.input, controller.signal);
      if (!controller.signal.aborted) take(slot, maps, from);
    } catch (error) {
      if (!controller.signal.aborted && error.name !== GIVEN_UP) fail(slot, error, from);
    }
    if (slot.controller === controller) slot.controller = null;
    fetchNext();
  }

  function take(slot, maps, from) {
    Object.assign(slot, { maps, from, failed: "" });
    mark(slot);
    draw(slot);
  }

  function fail(slot, error, failed) {
    slot.failed = failed;
    mark(slot, error);
  }

  function mark(slot, error) {
    const { figure, maps, from } = slot;
    figure.dataset.state = error
      ? "failed"
      : !maps
        ? "none"
        : from === wanted()
          ? "ready"
          : "stale";
    figure.title = error ? `No glance at this layer: ${error.message}` : "";
    figure.dataset.input = maps ? from.split(" ")[1] : "";
  }

  function draw(slot) {
    slot.dirty = false;
    if (slot.maps) paintGlance(slot.canvas, slot.maps, slot.size, store.state.colours);
  }

  /** A new input: what was drawn stays until the new one is there; several a second are waited out. */
  function renew() {
    clearTimeout(resting);
    let drawn = false;
    for (const slot of slots.values()) {
      slot.controller?.abort();
      slot.controller = null;
      mark(slot);
      drawn ||= slot.maps !== null;
    }
    const rest = () => {
      resting = 0;
      fetchNext();
    };
    resting = drawn ? setTimeout(rest, REST_MS) : 0;
    if (!drawn) fetchNext();
  }

  function soil() {
    for (const slot of slots.values()) slot.dirty = true;
    repaint();
  }

  store.on(["input"], renew);
  store.on(["colours", "theme"], soil);

  return {
    /** @param {Glance} glance */
    add(glance) {
      const slot = {
        ...glance,
        seen: false,
        dirty: false,
        maps: null,
        from: "",
        failed: "",
        controller: null,
      };
      slots.set(glance.figure, slot);
      mark(slot);
      observer.observe(glance.figure);
    },

    /** Forget all of them. */
    clear() {
      clearTimeout(resting);
      resting = 0;
      observer.disconnect();
      for (const { controller } of slots.values()) controller?.abort();
      slots.clear();
    },
  };
}
