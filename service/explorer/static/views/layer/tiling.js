/** How the maps of a layer lie in a sheet: pure geometry, in CSS pixels. */

import { aspect } from "../../figure.js";

/**
 * @typedef {object} Plan
 * @property {"pixels" | "lines" | "cells" | "bars"} kind How one map is drawn.
 * @property {number} width Of one tile.
 * @property {number} height
 * @property {number} gap
 * @property {number} columns
 * @property {number} rows
 * @property {number} total Height of all, with a margin where an outline has room.
 */

const [LEAST, MOST] = [32, 112];
const MARGIN = 4;
const CELL = 26;
const BARS = 32;

/**
 * @param {(number | null)[]} size Of a map's axes.
 * @param {number} channels
 * @param {number} room How wide the sheet may be.
 * @returns {Plan}
 */
export function planFor(size, channels, room) {
  const inner = room - 2 * MARGIN;
  const [kind, least, height, gap] = tile(size, channels, inner);
  const columns = Math.max(1, Math.min(Math.floor((inner + gap) / (least + gap)), channels));
  const rows = Math.ceil(channels / columns);
  const width =
    kind === "lines" ? Math.min(Math.floor((inner + gap) / columns) - gap, 2 * least) : least;
  return {
    kind,
    width,
    height,
    gap,
    columns,
    rows,
    total: Math.max(rows * (height + gap) - gap, 0) + 2 * MARGIN,
  };
}

/**
 * @returns {["pixels" | "lines" | "cells" | "bars", number, number, number]} Kind, width, height
 * and gap.
 */
function tile(size, channels, room) {
  if (size.every((length) => length === 1)) {
    return channels <= BARS ? ["bars", Math.min(room, 560), 24, 4] : ["cells", CELL, CELL, 2];
  }
  if (size.length === 1) {
    return ["lines", Math.min(room, channels <= 16 ? 180 : 120), channels <= 16 ? 60 : 44, 8];
  }
  const [height, width] = size.slice(-2).map((length) => length ?? 1);
  const side = longest(Math.max(height, width), channels);
  const wide = aspect([height, width]);
  return [
    "pixels",
    Math.round(wide >= 1 ? side : side * wide),
    Math.round(wide >= 1 ? side / wide : side),
    4,
  ];
}

/**
 * As large as so many maps may be; whole pixels for each unit, or one pixel for one, where that is
 * possible.
 */
function longest(units, channels) {
  const ideal =
    channels <= 16 ? MOST : channels <= 32 ? 96 : channels <= 128 ? 72 : channels <= 512 ? 48 : 40;
  if (units > ideal) return Math.min(units, MOST);
  const [less, more] = [Math.floor(ideal / units) * units, Math.ceil(ideal / units) * units];
  return less >= Math.max(LEAST, 0.8 * ideal) ? less : Math.min(more, MOST);
}

/**
 * @param {Plan} plan
 * @param {number} place In the order shown.
 * @returns {import("../../figure.js").Box}
 */
export function boxOf({ columns, width, height, gap }, place) {
  const [row, column] = [Math.floor(place / columns), place % columns];
  return {
    left: MARGIN + column * (width + gap),
    top: MARGIN + row * (height + gap),
    width,
    height,
  };
}

/** The place at a point, null between the tiles and beyond the last. */
export function placeAt(plan, channels, x, y) {
  const column = Math.floor((x - MARGIN) / (plan.width + plan.gap));
  const row = Math.floor((y - MARGIN) / (plan.height + plan.gap));
  if (column < 0 || row < 0 || column >= plan.columns) return null;
  const place = row * plan.columns + column;
  const box = boxOf(plan, place);
  return place < channels && x < box.left + box.width && y < box.top + box.height ? place : null;
}

/** Which places are in sight: `[first, after the last)`. */
export function visible({ columns, height, gap }, channels, top, room) {
  const first = Math.floor((top - MARGIN) / (height + gap)) * columns;
  const last = Math.ceil((top + room - MARGIN) / (height + gap)) * columns;
  return [Math.max(0, first), Math.min(channels, last)];
}
