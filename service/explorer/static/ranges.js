/**
 * The range of numbers that colours stand for: of one map, of a layer, or of all layers shown so
 * far.
 */

import { scaleFor } from "./palette.js";
import { statisticsOf } from "./statistics.js";

const KEY = "colours";

/**
 * @param {import("./maps.js").Maps} maps
 * @param {{sequential: string, diverging: string, scaling: string}} colours
 * @param {[number, number] | null} seen The range of all layers shown so far for this input.
 * @returns {(channel: number) => import("./palette.js").Scale}
 */
export function scalesFor(maps, colours, seen) {
  const { range, channels } = statisticsOf(maps);
  if (colours.scaling !== "map" || maps.length === 1) {
    const scale = scaleFor(colours.scaling === "all" ? (seen ?? range) : range, colours);
    return () => scale;
  }
  // Signed as the layer is: neighbours in one sheet never have palettes of two kinds.
  const signed = range[0] < 0;
  return (channel) => {
    const { low, high } = channels[channel];
    return scaleFor(Number.isNaN(low) ? [0, 0] : [low, high], colours, signed);
  };
}

/** Keeps the running range of the layers that were shown for one input of one model. */
export function createRunningRange() {
  let about = "";
  /** @type {[number, number] | null} */
  let range = null;
  /**
   * @param {string | null} model
   * @param {import("./maps.js").LayerMaps} maps
   * @returns {[number, number]}
   */
  return (model, maps) => {
    const now = `${model} ${maps.input}`;
    const [low, high] = statisticsOf(maps).range;
    range =
      now === about && range !== null
        ? [Math.min(range[0], low), Math.max(range[1], high)]
        : [low, high];
    about = now;
    return range;
  };
}

/**
 * The colours that were chosen last time, where they are still known.
 * @param {Record<string, string>} fallback
 * @param {Record<string, string[]>} known
 */
export function storedColours(fallback, known) {
  /** @type {Record<string, string>} */
  let stored = {};
  try {
    stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    // Not ours, or no storage: as if nothing had been chosen.
  }
  /** @param {[string, string]} entry */
  const pick = ([key, value]) => [key, known[key].includes(stored[key]) ? stored[key] : value];
  return Object.fromEntries(Object.entries(fallback).map(pick));
}

/** @param {object} colours */
export function keepColours(colours) {
  try {
    localStorage.setItem(KEY, JSON.stringify(colours));
  } catch {
    // A browser that keeps nothing: they hold until the page is left.
  }
}
