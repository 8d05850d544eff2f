/**
 * How one value of a layer comes about: what its operator reads, weighs and adds up, in float64
 * from the numbers that the API serves. Knows no DOM and fetches nothing. Windows after the ONNX
 * operator specifications.
 */

import { gatheredTaps, patch, slidingTaps, wholeAxis } from "./taps.js";

/** @typedef {import("../../maps.js").Maps} Maps */
/** @typedef {import("./taps.js").Tap} Tap */
/**
 * @typedef {object} Row What one channel (of a merge: one operand) gives.
 * @property {number} channel Its number.
 * @property {number} operand
 * @property {number[]} values Of the patch; 0 where it is padding.
 * @property {boolean[]} inside False for padding.
 * @property {number[] | null} weights
 * @property {number[]} products Of value and weight; the values themselves where nothing is
 *   weighed.
 * @property {number} sum Of the products.
 */
/**
 * @typedef {object} Explanation
 * @property {"weighted" | "maximum" | "mean" | "sum" | "product" | "copy"} how
 * @property {number[]} shape Of the patch.
 * @property {Tap[][]} taps For each axis of the maps that are read; a merge and a dense layer have
 *   none.
 * @property {Row[]} rows
 * @property {number | null} bias
 * @property {number} total
 * @property {number} magnitude Sum of the absolute values of all that was added: what rounding is
 *   relative to.
 * @property {number} [divisor] Of a mean.
 * @property {number} [winner] Of a maximum: its place in the patch.
 */
/**
 * @typedef {object} Numbers What is to be fetched for an explanation.
 * @property {(Maps | null)[]} operands What the operator reads; null for those that do not matter
 *   here.
 * @property {{shape: number[], weights: number[]} | null} kernel Of the one output: [in, ...] and
 *   its numbers.
 * @property {number | null} bias
 */

const ROUNDING = 1e-5;
const LONGEST_QUERY = 64;

/**
 * Why a layer's values cannot be explained here; null if they can.
 * @param {object} layer As the API lists it.
 */
export function unexplained(layer) {
  if (!(layer.operator in OPERATORS)) {
    return `The arithmetic of ${layer.operator} is not known here; its values are shown above all the same.`;
  }
  const sized =
    layer.kernel_shape || !layer.operator.startsWith("Conv") || layer.operator === "Concat";
  if (layer.operands.length > 0 && sized && (layer.pads || layer.operator !== "ConvTranspose"))
    return null;
  return "What this layer reads, or the size of its kernel, is not known; so its arithmetic cannot be shown.";
}

/**
 * What is needed to explain a channel: channels of operands (null: all), and which kernel.
 * @returns {{operands: {operand: number, channels: number[] | null}[], kernel: number | null}}
 */
export const needs = (layer, channel, unit) =>
  OPERATORS[layer.operator].needs(layer, channel, unit);

/**
 * @param {object} layer As the API lists it.
 * @param {Numbers} numbers
 * @param {number} channel
 * @param {number[]} unit
 * @returns {Explanation}
 */
export const explain = (layer, numbers, channel, unit) =>
  OPERATORS[layer.operator].explain(layer, numbers, channel, unit);

/** Whether a served value is the total but for the rounding of float32. */
export function agrees({ total, magnitude }, served) {
  return (
    total === served || Math.abs(total - served) <= ROUNDING * Math.max(magnitude, Math.abs(total))
  );
}

/**
 * The window of a unit on the maps that are read: [first, last + 1) of each axis, padding included.
 */
export function windowOf({ taps }) {
  return taps.map((axis) => (axis.length ? [axis[0].index, axis.at(-1).index + 1] : [0, 0]));
}

/** Channels that a convolution's output reads: those of its group. */
function ofGroup(layer, channel) {
  const inputs = layer.operands[0].shape[layer.operands[0].channel_axis];
  const outputs = layer.output_shape[layer.channel_axis];
  const groups = layer.groups ?? 1;
  if (groups === 1 || !inputs || !outputs) return null;
  const count = inputs / groups;
  const first = Math.floor(channel / (outputs / groups)) * count;
  return Array.from({ length: count }, (_, place) => first + place);
}

function groupChannels(layer, channel) {
  const channels = ofGroup(layer, channel);
  const asked = channels && channels.length <= LONGEST_QUERY ? channels : null;
  return { operands: [{ operand: 0, channels: asked }], kernel: channel };
}

const ownChannel = (_, channel) => ({
  operands: [{ operand: 0, channels: [channel] }],
  kernel: null,
});

function windowed(tapsOf) {
  return (layer, { operands: [maps], kernel, bias }, channel, unit) => {
    const taps = tapsOf(layer, maps.size, unit);
    const cells = patch(taps, maps.size, kernel.shape.slice(1));
    const channels = ofGroup(layer, channel) ?? maps.numbers;
    const length = kernel.shape.slice(1).reduce((product, size) => product * size, 1);
    const rows = channels.map((each, place) => {
      const weights = cells.map((cell) => kernel.weights[place * length + cell.offset]);
      return weighted(each, read(maps, each, cells), cells, weights);
    });
    return summed("weighted", rows, taps, bias);
  };
}

function weighted(channel, values, cells, weights) {
  const products = values.map((value, place) => (cells[place].inside ? value * weights[place] : 0));
  const inside = cells.map((cell) => cell.inside);
  return { channel, operand: 0, values, inside, weights, products, sum: sum(products) };
}

function summed(how, rows, taps, bias) {
  const sizes = rows.map((row) =>
    row.products.reduce((all, product) => all + Math.abs(product), 0),
  );
  return {
    how,
    shape: taps.map((axis) => axis.length),
    taps,
    rows,
    bias,
    total: sum(rows.map((row) => row.sum)) + (bias ?? 0),
    magnitude: sum(sizes) + Math.abs(bias ?? 0),
  };
}

function pooled(how) {
  return (layer, { operands: [maps] }, channel, unit) => {
    const taps = layer.kernel_shape
      ? slidingTaps(layer, maps.size, unit)
      : maps.size.map(wholeAxis);
    const cells = patch(taps, maps.size, layer.kernel_shape ?? maps.size);
    const inside = cells.map((cell) => cell.inside);
    const values = read(maps, channel, cells);
    const row = {
      channel,
      operand: 0,
      values,
      inside,
      weights: null,
      products: values,
      sum: sum(values),
    };
    const explanation = summed(how, [row], taps, null);
    if (how === "maximum") {
      const winner = values.reduce(
        (best, value, place) => (better(values, inside, best, place) ? place : best),
        -1,
      );
      return { ...explanation, winner, total: values[winner] };
    }
    const padded = layer.attributes.count_include_pad === 1;
    const divisor = cells.filter((cell) => (padded ? cell.counted : cell.inside)).length;
    return {
      ...explanation,
      divisor,
      total: row.sum / divisor,
      magnitude: explanation.magnitude / divisor,
    };
  };
}

const better = (values, inside, best, place) =>
  inside[place] && (best < 0 || values[place] > values[best]);

function dense(layer, { operands: [maps], kernel, bias }, channel, unit) {
  const cells = [{ place: 0, offset: 0, inside: true, counted: true }];
  const last = layer.channel_axis === null || layer.channel_axis === layer.output_shape.length - 1;
  const values = last
    ? maps.numbers.map((_, place) => maps.at(place, unit))
    : Array.from({ length: kernel.shape[0] }, (_, index) =>
        maps.at(channel, [...unit.slice(0, -1), index]),
      );
  const rows = values.map((value, place) =>
    weighted(place, [value], cells, [kernel.weights[place]]),
  );
  return summed("weighted", rows, [], bias);
}

/** The kernel of a dense layer is that of its last axis, which need not be that of the channels. */
function denseNeeds(layer, channel, unit) {
  const last = layer.channel_axis === null || layer.channel_axis === layer.output_shape.length - 1;
  return { operands: [{ operand: 0, channels: null }], kernel: last ? channel : unit.at(-1) };
}

function mergeNeeds(layer, channel) {
  const channelsOf = ({ shape, channel_axis: axis }) =>
    axis === null ? null : [shape[axis] === 1 ? 0 : channel];
  return {
    operands: layer.operands.map((each, operand) => ({ operand, channels: channelsOf(each) })),
    kernel: null,
  };
}

function merged(layer, { operands }, channel, unit) {
  const rows = operands.map((maps, operand) => {
    const source = maps.numbers.length === 1 ? maps.numbers[0] : channel;
    // Broadcasting aligns the axes at their ends and repeats those of length 1.
    const at = maps.size.map((size, axis) =>
      size === 1 ? 0 : unit[axis + unit.length - maps.size.length],
    );
    return single(source, operand, maps.at(maps.numbers.indexOf(source), at));
  });
  const explanation = summed(layer.operator === "Add" ? "sum" : "product", rows, [], null);
  if (layer.operator === "Add") return explanation;
  const total = rows.reduce((product, row) => product * row.sum, 1);
  return { ...explanation, total, magnitude: Math.abs(total) };
}

const single = (channel, operand, value) => ({
  channel,
  operand,
  values: [value],
  inside: [true],
  weights: null,
  products: [value],
  sum: value,
});

/** Which operand of a Concat a unit is of, and where in it. */
function origin(layer, channel, unit) {
  const rank = layer.operands[0].shape.length + 1;
  const axis = ((layer.attributes.axis + rank) % rank) - 1;
  const channelAxis = layer.channel_axis;
  const spatial =
    axis === channelAxis ? -1 : axis - (channelAxis !== null && axis > channelAxis ? 1 : 0);
  let place = spatial < 0 ? channel : unit[spatial];
  let operand = 0;
  while (operand < layer.operands.length - 1 && place >= layer.operands[operand].shape[axis]) {
    place -= layer.operands[operand].shape[axis];
    operand += 1;
  }
  if (spatial < 0) return { operand, channel: place, unit };
  return { operand, channel, unit: unit.map((index, each) => (each === spatial ? place : index)) };
}

function concatNeeds(layer, channel, unit) {
  const { operand, channel: own } = origin(layer, channel, unit);
  const channels = layer.operands[operand].channel_axis === null ? null : [own];
  return { operands: [{ operand, channels }], kernel: null };
}

function concatenated(layer, { operands }, channel, unit) {
  const from = origin(layer, channel, unit);
  const maps = operands[from.operand];
  const value = maps.at(maps.numbers.indexOf(from.channel), from.unit);
  return {
    ...summed("copy", [single(from.channel, from.operand, value)], [], null),
    origin: from.unit,
  };
}

function read(maps, channel, cells) {
  const start =
    (maps.numbers[channel] === channel ? channel : maps.numbers.indexOf(channel)) * maps.length;
  return cells.map((cell) => (cell.inside ? maps.data[start + cell.place] : 0));
}

const sum = (values) => values.reduce((all, value) => all + value, 0);

const OPERATORS = {
  Conv: { needs: groupChannels, explain: windowed(slidingTaps) },
  ConvTranspose: { needs: groupChannels, explain: windowed(gatheredTaps) },
  MaxPool: { needs: ownChannel, explain: pooled("maximum") },
  AveragePool: { needs: ownChannel, explain: pooled("mean") },
  GlobalMaxPool: { needs: ownChannel, explain: pooled("maximum") },
  GlobalAveragePool: { needs: ownChannel, explain: pooled("mean") },
  ReduceMax: { needs: ownChannel, explain: pooled("maximum") },
  ReduceMean: { needs: ownChannel, explain: pooled("mean") },
  Gemm: { needs: denseNeeds, explain: dense },
  MatMul: { needs: denseNeeds, explain: dense },
  Add: { needs: mergeNeeds, explain: merged },
  Mul: { needs: mergeNeeds, explain: merged },
  Concat: { needs: concatNeeds, explain: concatenated },
};
