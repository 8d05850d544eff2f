/** One state for the whole page; views listen to the parts they show. */

import { IDLE } from "./state.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Scene} Scene
 * @typedef {keyof State | keyof Scene} Key A part of the state or of its scene.
 * @typedef {(state: State, changed: Set<Key>) => void} Listener
 */

export class Store {
  /** @type {State} */
  state;
  /** @type {Set<{keys: Key[], listener: Listener}>} */
  #listeners = new Set();
  /** @type {Set<Key>} */
  #changed = new Set();

  /** @param {State} initial */
  constructor(initial) {
    this.state = { ...initial };
  }

  /**
   * Change parts of the state; listeners hear of it once, after the current task's own work.
   * @param {Partial<State>} patch
   */
  set(patch) {
    const before = this.#changed.size;
    const { scene, ...rest } = patch;
    if (scene) this.#noteChanges(this.state.scene, scene);
    this.#noteChanges(this.state, rest);
    Object.assign(this.state, patch);
    if (before === 0 && this.#changed.size > 0) queueMicrotask(() => this.#notify());
  }

  /**
   * Swap the scene for one with other parts.
   * @param {Partial<Scene>} patch
   */
  setScene(patch) {
    this.set({ scene: { ...this.state.scene, ...patch } });
  }

  /**
   * Call `listener` now and whenever one of `keys` changes; returns what ends it.
   * @param {Key[]} keys
   * @param {Listener} listener
   */
  on(keys, listener) {
    const entry = { keys, listener };
    this.#listeners.add(entry);
    listener(this.state, new Set(keys));
    return () => this.#listeners.delete(entry);
  }

  /**
   * @param {Record<string, any>} before
   * @param {Record<string, any>} patch
   */
  #noteChanges(before, patch) {
    for (const [key, value] of Object.entries(patch)) {
      if (!Object.is(before[key], value)) this.#changed.add(/** @type {Key} */ (key));
    }
  }

  #notify() {
    const changed = this.#changed;
    this.#changed = new Set();
    for (const { keys, listener } of this.#listeners) {
      if (!keys.some((key) => changed.has(key))) continue;
      // One view's fault is not another's.
      try {
        listener(this.state, changed);
      } catch (error) {
        reportError(error);
      }
    }
  }
}

/**
 * Fetches into one part of the state, or of its scene; the last call wins and aborts the one
 * before.
 */
export class Latest {
  #store;
  #key;
  #controller = new AbortController();

  /**
   * @param {Store} store
   * @param {Key} key
   */
  constructor(store, key) {
    this.#store = store;
    this.#key = key;
  }

  /**
   * @param {(signal: AbortSignal) => Promise<any>} fetching
   * @param {{keep?: boolean}} options Whether the former value stays until the new one is there.
   */
  async load(fetching, { keep = true } = {}) {
    this.#controller.abort();
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    this.#write({ status: "loading", value: keep ? this.#read().value : null, error: null });
    try {
      const value = await fetching(signal);
      if (!signal.aborted) this.#write({ status: "ready", value, error: null });
    } catch (error) {
      if (!signal.aborted) this.#write({ status: "failed", value: null, error });
    }
  }

  /** Abort, and forget what was fetched. */
  clear() {
    this.#controller.abort();
    this.#write(IDLE);
  }

  get #isOfScene() {
    return this.#key in this.#store.state.scene;
  }

  /** @returns {import("./state.js").Loadable<any>} */
  #read() {
    const { state } = this.#store;
    return /** @type {any} */ (this.#isOfScene ? state.scene : state)[this.#key];
  }

  /** @param {import("./state.js").Loadable<any>} loadable */
  #write(loadable) {
    if (this.#isOfScene) this.#store.setScene({ [this.#key]: loadable });
    else this.#store.set({ [this.#key]: loadable });
  }
}

/**
 * A function that runs `paint` once in the next frame, however often it is called.
 * @param {() => void} paint
 */
export function eachFrame(paint) {
  let asked = false;
  return () => {
    if (!asked) {
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        paint();
      });
    }
  };
}
