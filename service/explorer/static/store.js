/** One state for the whole page; views listen to the parts they show. */

/**
 * @template {object} State
 * @param {State} initial
 */
export function createStore(initial) {
  const state = { ...initial };
  /** @type {Set<{keys: string[], listener: (state: State, changed: Set<string>) => void}>} */
  const listeners = new Set();
  let changed = new Set();

  function notify() {
    const keys = changed;
    changed = new Set();
    for (const each of listeners) {
      if (each.keys.some((key) => keys.has(key))) {
        // One view's fault is not another's.
        try {
          each.listener(state, keys);
        } catch (error) {
          reportError(error);
        }
      }
    }
  }

  return {
    state,

    /** Change parts of the state; listeners hear of it once, after the current task's own work. */
    set(patch) {
      const before = changed.size;
      for (const [key, value] of Object.entries(patch)) {
        if (!Object.is(state[key], value)) {
          state[key] = value;
          changed.add(key);
        }
      }
      if (before === 0 && changed.size > 0) {
        queueMicrotask(notify);
      }
    },

    /** Call `listener` now and whenever one of `keys` changes; returns what ends it. */
    on(keys, listener) {
      const entry = { keys, listener };
      listeners.add(entry);
      listener(state, new Set(keys));
      return () => listeners.delete(entry);
    },
  };
}

/** @typedef {ReturnType<typeof createStore>} Store */

/**
 * Something that is fetched. While it is fetched anew, `value` is the one before.
 * @template Value
 * @typedef {{status: "idle" | "loading" | "ready" | "failed", value: Value | null, error: Error | null}} Loadable
 */

/** @type {Loadable<any>} */
export const IDLE = Object.freeze({ status: "idle", value: null, error: null });

/**
 * Fetches into one key of the store; the last call wins and aborts the one before.
 * @param {Store} store
 * @param {string} key
 */
export function latest(store, key) {
  let controller = new AbortController();
  return {
    /** @param {(signal: AbortSignal) => Promise<any>} fetching */
    async load(fetching, { keep = true } = {}) {
      controller.abort();
      controller = new AbortController();
      const { signal } = controller;
      store.set({
        [key]: { status: "loading", value: keep ? store.state[key].value : null, error: null },
      });
      try {
        const value = await fetching(signal);
        if (!signal.aborted) {
          store.set({ [key]: { status: "ready", value, error: null } });
        }
      } catch (error) {
        if (!signal.aborted) {
          store.set({ [key]: { status: "failed", value: null, error } });
        }
      }
    },

    /** Abort, and forget what was fetched. */
    clear() {
      controller.abort();
      store.set({ [key]: IDLE });
    },
  };
}

/** A function that runs `paint` once in the next frame, however often it is called. */
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
