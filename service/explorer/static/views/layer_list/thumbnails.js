/**
 * A thumbnail at each layer in view: its strongest channels. Fetched when the input rests, few at a
 * time.
 */

import * as api from "../../api.js";
import { paintThumbnail } from "./thumbnail.js";
import { eachFrame } from "../../store.js";

const STRONGEST = 4;
const AT_ONCE = 3;
const REST_MS = 250;
/** How far beyond the visible part is fetched too, so that slow scrolling meets what is there. */
const MARGIN = "0px 160px";
const GIVEN_UP = "AbortError";

/**
 * @typedef {object} Thumbnail
 * @property {HTMLElement} figure Has `data-state`: none, ready, stale or failed.
 * @property {HTMLCanvasElement} canvas
 * @property {import("./wiring.js").Size} size Of the canvas, in CSS pixels.
 * @property {(model: string, input: string, signal: AbortSignal) =>
 *   Promise<import("../../maps.js").Maps | ImageBitmap>} fetching
 */

/** What fetches the strongest channels of a layer; all of them where a channel is one number. */
export const strongestOf = (layer) => (model, input, signal) => {
  const spatial = layer.output_shape.filter((_, axis) => axis !== layer.channel_axis);
  const choice = spatial.every((size) => size === 1) ? {} : { strongest: STRONGEST };
  return api.activations(model, layer, input, choice, signal);
};

export class Thumbnails {
  #store;
  /**
   * `maps` were fetched for `from`, a model and an input; `failed` is the same for what could not
   * be fetched.
   * @typedef {{seen: boolean, dirty: boolean, maps: any, from: string, failed: string}} Fetched
   * @type {Map<Element, Thumbnail & Fetched & {controller: AbortController | null}>}
   */
  #slots = new Map();
  #resting = 0;
  #observer;
  #repaint = eachFrame(() =>
    this.#slots.forEach((slot) => slot.seen && slot.dirty && this.#draw(slot)),
  );

  /**
   * @param {import("../../store.js").Store} store
   * @param {HTMLElement} scroller What is in view of it is fetched.
   */
  constructor(store, scroller) {
    this.#store = store;
    this.#observer = new IntersectionObserver((entries) => this.#look(entries), {
      root: scroller,
      rootMargin: MARGIN,
    });
    store.on(["input"], () => this.#renew());
    store.on(["colours", "theme"], () => this.#soil());
  }

  #look(entries) {
    for (const { target, isIntersecting } of entries) {
      const slot = this.#slots.get(target);
      if (!slot) continue;
      slot.seen = isIntersecting;
      if (!isIntersecting) {
        slot.controller?.abort();
        slot.failed = "";
      }
    }
    this.#repaint();
    this.#fetchNext();
  }

  #wanted() {
    return `${this.#store.state.scene.model} ${this.#store.state.scene.input}`;
  }

  #fetchNext() {
    if (this.#store.state.scene.input === null || this.#resting) return;
    const all = [...this.#slots.values()];
    const known = ({ from, failed }) => from === this.#wanted() || failed === this.#wanted();
    const waiting = all.filter((slot) => slot.seen && !slot.controller && !known(slot));
    const free = AT_ONCE - all.filter(({ controller }) => controller).length;
    waiting.slice(0, Math.max(free, 0)).forEach((slot) => this.#fetchOne(slot));
  }

  async #fetchOne(slot) {
    const controller = new AbortController();
    const from = this.#wanted();
    slot.controller = controller;
    try {
      const maps = await slot.fetching(
        this.#store.state.scene.model,
        this.#store.state.scene.input,
        controller.signal,
      );
      if (!controller.signal.aborted) this.#take(slot, maps, from);
    } catch (error) {
      if (!controller.signal.aborted && error.name !== GIVEN_UP) this.#fail(slot, error, from);
    }
    if (slot.controller === controller) slot.controller = null;
    this.#fetchNext();
  }

  #take(slot, maps, from) {
    Object.assign(slot, { maps, from, failed: "" });
    this.#mark(slot);
    this.#draw(slot);
  }

  #fail(slot, error, failed) {
    slot.failed = failed;
    this.#mark(slot, error);
  }

  #mark(slot, error) {
    const { figure, maps, from } = slot;
    figure.dataset.state = error
      ? "failed"
      : !maps
        ? "none"
        : from === this.#wanted()
          ? "ready"
          : "stale";
    figure.title = error ? `No glance at this layer: ${error.message}` : "";
    figure.dataset.input = maps ? from.split(" ")[1] : "";
  }

  #draw(slot) {
    slot.dirty = false;
    if (slot.maps) paintThumbnail(slot.canvas, slot.maps, slot.size, this.#store.state.colours);
  }

  /**
   * A new input: what was drawn stays until the new one is there; several a second are waited out.
   */
  #renew() {
    clearTimeout(this.#resting);
    let drawn = false;
    for (const slot of this.#slots.values()) {
      slot.controller?.abort();
      slot.controller = null;
      this.#mark(slot);
      drawn ||= slot.maps !== null;
    }
    const rest = () => {
      this.#resting = 0;
      this.#fetchNext();
    };
    this.#resting = drawn ? setTimeout(rest, REST_MS) : 0;
    if (!drawn) this.#fetchNext();
  }

  #soil() {
    for (const slot of this.#slots.values()) slot.dirty = true;
    this.#repaint();
  }

  /** @param {Thumbnail} thumbnail */
  add(thumbnail) {
    const slot = {
      ...thumbnail,
      seen: false,
      dirty: false,
      maps: null,
      from: "",
      failed: "",
      controller: null,
    };
    this.#slots.set(thumbnail.figure, slot);
    this.#mark(slot);
    this.#observer.observe(thumbnail.figure);
  }

  /** Forget all of them. */
  clear() {
    clearTimeout(this.#resting);
    this.#resting = 0;
    this.#observer.disconnect();
    for (const { controller } of this.#slots.values()) controller?.abort();
    this.#slots.clear();
  }
}
