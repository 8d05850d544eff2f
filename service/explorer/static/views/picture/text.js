/** What a unit sees, in words. */

import { times } from "../../dom.js";
import { padding } from "../../fields.js";

/** @typedef {import("../../fields.js").AxisTable} AxisTable */
/** @typedef {import("../../fields.js").Seen} Seen */

const SIDES = {
  1: [["before", "after"]],
  2: [
    ["above", "below"],
    ["left", "right"],
  ],
  3: [
    ["in front", "behind"],
    ["above", "below"],
    ["left", "right"],
  ],
};

/** What the positions of a source with so many axes are called: pixels, samples, voxels. */
export const pieces = (rank) => ({ 1: "samples", 2: "pixels", 3: "voxels" })[rank] ?? "numbers";

/** How large intervals are: `83 × 83`. */
export const extent = (intervals) => times(intervals.map(([start, stop]) => stop - start));

/**
 * The padding within what a unit sees: `25 below, 1 left`; "none" without.
 * @param {{axes: AxisTable[]}} table
 * @param {Seen} seen
 */
export function paddingInWords(table, seen) {
  const sides = SIDES[table.axes.length] ?? table.axes.map(() => SIDES[1][0]);
  const parts = table.axes.flatMap((axis, place) =>
    padding(seen.interval[place], axis.size).map(
      (count, side) => count > 0 && `${count} ${sides[place][side]}`,
    ),
  );
  return parts.filter(Boolean).join(", ") || "none";
}

/**
 * One plain sentence on what is outlined.
 * @param {{status: string, axes: AxisTable[]}} table
 * @param {Seen} seen
 * @param {{name: string, receptive_field: {operator: string | null}}} layer
 * @param {boolean} beside Whether all of it lies beside the posted picture.
 */
export function sentence(table, seen, layer, beside = false) {
  if (seen.nothing) return "This unit sees padding only: nothing of the input reaches it.";
  if (beside)
    return "This unit sees only what the network's input is filled up with beside the picture.";
  if (table.status === "upper_bound") {
    const by = layer.receptive_field.operator ?? "an operator";
    return `At most what is outlined in red: ${by} may read everything before it, so this is an upper bound.`;
  }
  if (table.status === "whole_input") return `Every unit of ${layer.name} sees the whole input.`;
  if (seen.clipped.every(([start, stop], axis) => start <= 0 && stop >= table.axes[axis].size)) {
    return "This unit sees the whole input.";
  }
  const what = `${extent(seen.clipped)} ${pieces(table.axes.length)}`;
  return `Outlined in red: the ${what} of the network's input that this unit sees. The others cannot change its value.`;
}

/**
 * Which units see a pixel: `25 of 196 units of each channel (5 × 5) see pixel (100, 80)`.
 * @param {number[]} pixel
 * @param {[number, number][] | null} units
 * @param {number[]} size Of the layer's map.
 */
export function seenInWords(pixel, units, size) {
  const where = `${pieces(pixel.length).slice(0, -1)} (${pixel.join(", ")})`;
  if (units === null) return `No unit of this layer sees ${where}.`;
  const count = units.reduce((product, [start, stop]) => product * (stop - start), 1);
  const all = size.reduce((product, length) => product * length, 1);
  if (count === all) return `Every unit of this layer sees ${where}.`;
  const spread = size.length > 1 ? ` (${extent(units)})` : "";
  return `${count} of ${all} units of each channel${spread} ${count === 1 ? "sees" : "see"} ${where}.`;
}
