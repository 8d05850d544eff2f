/** A layer and its units in words. */

import { many, times } from "../../dom.js";

const AXES = [["index"], ["row", "column"], ["slice", "row", "column"]];

/** `row 3, column 5`; empty for a layer without axes. */
export function placeInWords(unit) {
  const names = AXES[unit.length - 1] ?? unit.map((_, axis) => `axis ${axis}`);
  return unit.map((index, axis) => `${names[axis]} ${index}`).join(", ");
}

/** A value, also where it is none: short to read, and exact. */
export function valueInWords(value, short) {
  if (Number.isNaN(value)) return "not a number (NaN)";
  if (!Number.isFinite(value)) return value > 0 ? "infinite (+∞)" : "infinite (−∞)";
  return short(value);
}

const same = (list) => list.every((each) => each === list[0]);
const compact = (list) => (same(list) ? String(list[0]) : list.join(", "));

/**
 * What a layer is, as pairs of a term and a description; `title` says more.
 * @param {object} layer As the API lists it.
 * @returns {{term: string, text: string, title?: string}[]}
 */
export function facts(layer) {
  const size = layer.output_shape.filter((_, axis) => axis !== layer.channel_axis);
  const list = [{ term: "Output", text: outputInWords(layer, size) }];
  if (layer.kernel_shape)
    list.push({ term: layer.kind === "pool" ? "Window" : "Kernel", text: windowInWords(layer) });
  list.push(
    { term: "Parameters", text: many(layer.parameters), title: exact(layer.parameters) },
    { term: "Multiply-adds", text: many(layer.macs), title: exact(layer.macs) },
    { term: "Receptive field", ...fieldInWords(layer.receptive_field) },
  );
  return list;
}

const exact = (count) => (count === null ? "not known" : count.toLocaleString("en"));

function outputInWords({ output_shape: shape, channel_axis: axis }, size) {
  if (axis === null) return times(shape) || "one number";
  const channels = shape[axis] ?? "?";
  return size.length === 0 ? `${channels} numbers` : `${channels} maps of ${times(size)}`;
}

function windowInWords({
  kernel_shape: kernel,
  strides,
  pads,
  dilations,
  groups,
  output_shape: shape,
  ...layer
}) {
  const parts = [times(kernel)];
  if (strides) parts.push(`stride ${compact(strides)}`);
  parts.push(paddingInWords(pads));
  if (dilations?.some((each) => each > 1)) parts.push(`dilation ${compact(dilations)}`);
  const alone = groups === shape[layer.channel_axis] ? ": each channel by itself" : "";
  if (groups > 1) parts.push(`${groups} groups${alone}`);
  return parts.filter(Boolean).join(", ");
}

function paddingInWords(pads) {
  if (!pads) return "";
  const half = pads.length / 2;
  const [before, after] = [pads.slice(0, half), pads.slice(half)];
  if (pads.every((each) => each === 0)) return "no padding";
  if (same(pads)) return `padding ${pads[0]}`;
  return `padding ${compact(before)} before and ${compact(after)} after`;
}

/** Size, step, where it begins, and how sure that is. */
function fieldInWords({ status, size, stride, padding, operator, reason }) {
  if (status === "whole_input") return { text: "sees the whole input" };
  const what = size ? `${times(size)} of the input` : "no single size";
  const parts = [what];
  if (stride) parts.push(`one every ${compact(stride)}`);
  if (padding?.some((each) => each !== 0))
    parts.push(`the first begins ${compact(padding)} before the edge`);
  if (status === "upper_bound") {
    const who = operator ? `the operator ${operator}` : "an operator";
    const most = size ? what : "the whole input";
    return { text: `at most ${most}: ${who} may read everything`, title: reason ?? "" };
  }
  return { text: `${parts.join(", ")} (exact${size ? "" : `; ${reason}`})`, title: reason ?? "" };
}

/**
 * Names of a layer's channels: the classes, where it is the last layer and gives one number for
 * each.
 * @returns {string[] | null}
 */
export function labelsOf({ scene: { model, layer }, models, layers }, maps) {
  const labels = models.value?.models.find((each) => each.name === model?.split(":")[0])?.card
    ?.labels;
  const last = !layers.value.some(({ inputs }) => inputs.includes(layers.value[layer].name));
  return last && maps.length === 1 && labels?.length === maps.channels ? labels : null;
}

/** What a sheet of maps is, in a line. */
export function captionOf(channels, units) {
  if (units === 1)
    return channels === 1 ? "One number." : `${channels} numbers, one for each channel.`;
  return channels === 1
    ? "One map."
    : `${channels} maps, one for each channel. Point at a unit to see what it sees.`;
}

const WHOSE = { layer: "the whole layer", all: "all layers shown so far for this input" };

/** What the range of the colours is the range of. */
export function whoseRange(scaling, maps, channel) {
  if (scaling in WHOSE) return WHOSE[scaling];
  if (maps.length === 1) return WHOSE.layer;
  return `each map by its own range, here channel ${maps.numbers[channel]}`;
}
