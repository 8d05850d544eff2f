/**
 * What a layer's maps amount to: statistics of each channel, the range of all, the strongest units.
 */

import { positionOf } from "./maps.js";

const STRONGEST = 8;

/**
 * @typedef {{low: number, high: number, mean: number, zeros: number, nonFinite: number}}
 *   ChannelStatistics Of the finite values: the least (NaN if there is none), the largest, their
 *   mean; `zeros` is the fraction of zeros among all, `nonFinite` counts what is not finite.
 * @typedef {{channel: number, unit: number[], value: number}} Unit
 * @typedef {{channels: ChannelStatistics[], range: [number, number], nonFinite: number, strongest:
 *   Unit[]}} LayerStatistics
 */

/** @type {WeakMap<import("./maps.js").Maps, LayerStatistics>} */
const known = new WeakMap();

/**
 * @param {import("./maps.js").Maps} maps
 * @returns {LayerStatistics} Computed once for the same maps.
 */
export function statisticsOf(maps) {
  const before = known.get(maps);
  if (before) return before;
  const statistics = layerStatistics(maps);
  known.set(maps, statistics);
  return statistics;
}

/**
 * @param {import("./maps.js").Maps} maps
 * @returns {LayerStatistics}
 */
function layerStatistics(maps) {
  const { data, length } = maps;
  const channels = Array.from({ length: maps.channels }, (_, channel) =>
    channelStatistics(data, channel * length, length),
  );
  let [low, high, nonFinite] = [Infinity, -Infinity, 0];
  for (const each of channels) {
    if (each.low < low) low = each.low;
    if (each.high > high) high = each.high;
    nonFinite += each.nonFinite;
  }
  return {
    channels,
    range: low <= high ? [low, high] : [0, 0],
    nonFinite,
    strongest: strongest(maps, channels),
  };
}

/**
 * @param {import("./npy.js").Values} data
 * @param {number} start
 * @param {number} length
 */
function channelStatistics(data, start, length) {
  let [low, high, sum, zeros, finite] = [Infinity, -Infinity, 0, 0, 0];
  for (let place = start; place < start + length; place += 1) {
    const value = data[place];
    if (value - value !== 0) continue;
    finite += 1;
    sum += value;
    if (value === 0) zeros += 1;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (finite === 0) [low, high] = [NaN, NaN];
  return {
    low,
    high,
    mean: sum / finite,
    zeros: length > 0 ? zeros / length : NaN,
    nonFinite: length - finite,
  };
}

/**
 * The largest finite values, largest first; of equal ones the earlier.
 * @param {import("./maps.js").Maps} maps
 * @param {ChannelStatistics[]} channels
 */
function strongest(maps, channels) {
  /** @type {{place: number, value: number}[]} */
  const units = [];
  let least = -Infinity;
  for (let channel = 0; channel < maps.channels; channel += 1) {
    if (units.length === STRONGEST && !(channels[channel].high > least)) continue;
    const start = channel * maps.length;
    for (let place = start; place < start + maps.length; place += 1) {
      const value = maps.data[place];
      if (value - value !== 0 || (units.length === STRONGEST && !(value > least))) continue;
      const rank = units.findIndex((each) => each.value < value);
      units.splice(rank < 0 ? units.length : rank, 0, { place, value });
      if (units.length > STRONGEST) units.pop();
      if (units.length === STRONGEST) least = units.at(-1).value;
    }
  }
  return units.map(({ place, value }) => ({
    channel: Math.floor(place / maps.length),
    unit: positionOf(place % maps.length, maps.size),
    value,
  }));
}

/**
 * The channels in the order in which they are shown.
 * @param {LayerStatistics} found
 * @param {"number" | "largest"} by
 * @returns {number[]}
 */
export function orderOf(found, by) {
  const order = found.channels.map((_, channel) => channel);
  if (by === "number") return order;
  /** @param {number} channel */
  const peak = (channel) =>
    Number.isNaN(found.channels[channel].high) ? -Infinity : found.channels[channel].high;
  const peaks = order.map(peak);
  return order.sort((one, other) =>
    peaks[one] === peaks[other] ? one - other : peaks[other] > peaks[one] ? 1 : -1,
  );
}
