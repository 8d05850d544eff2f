/**
 * What the arithmetic of a layer is called: its caption, its formula, and numbers as they are read.
 */

import { short } from "../../dom.js";

const AXES = [[], ["i"], ["i", "j"], ["h", "i", "j"]];
const OFFSETS = [[], ["u"], ["u", "v"], ["t", "u", "v"]];

/** A number with a proper minus sign; the exact one belongs into a title. */
export const minus = (text) => String(text).replaceAll("-", "−");
export const rounded = (value) => minus(short(value));

/** Seven digits: about what float32 holds. */
export const exact = (value) => {
  const size = Math.abs(value);
  const plain = size === 0 || (size >= 1e-3 && size < 1e7);
  return minus(plain ? String(Number(value.toPrecision(7))) : value.toExponential(6));
};

/**
 * What is happening, in one sentence.
 * @param {object} layer As the API lists it.
 * @param {import("./arithmetic.js").Explanation} found
 */
export function caption(layer, found) {
  const cells = found.shape.reduce((product, size) => product * size, 1);
  const maps = found.rows.length;
  const added = found.bias === null ? "all products" : "all products and the bias";
  if (layer.kind === "dense") {
    return `Each of the ${maps} numbers read is multiplied by its own weight; ${added} are added up.`;
  }
  if (layer.kind === "transposed_convolution") {
    return "Every input lays its kernel, times its value, over the output; what falls on this one place is added up.";
  }
  if (layer.kind === "convolution") return convolving(layer, cells, maps, added);
  const inside = found.rows[0].inside.filter(Boolean).length;
  const uncounted = (found.divisor ?? cells) < cells ? " Padding does not count." : "";
  const captions = {
    maximum: `Of the ${inside} numbers under the window, only the largest is kept.`,
    mean: `The ${found.divisor} numbers under the window become one: their mean.${uncounted}`,
    sum: `The values at the same place of ${maps} tensors are added: what skips the layers between comes back here.`,
    product: `The values at the same place of ${maps} tensors are multiplied.`,
    copy: "Tensors are laid one behind another: the value is handed on as it is.",
  };
  return captions[found.how];
}

function convolving(layer, cells, maps, added) {
  const grouped = layer.groups > 1;
  const several = `each of ${maps} input maps${grouped ? " of its group" : ""}`;
  const whose = maps > 1 ? several : grouped ? "its own input map alone" : "the input map";
  if (cells === 1)
    return `At one place of ${whose}, the value is multiplied by a weight; ${added} are added up.`;
  const each = "each number is multiplied by the weight on it";
  return `The kernel lies over a patch of ${whose}; ${each}, and ${added} are added up.`;
}

/**
 * The formula of a layer with its own numbers put in, in plain notation; and for one unit.
 * @returns {{general: string, here: string}}
 */
export function formula(layer, found, channel, unit) {
  const here = `y[${[channel, ...unit].join(", ")}]`;
  const axes = AXES[unit.length] ?? unit.map((_, axis) => `i${axis}`);
  const general = `y[${["c", ...axes].join(", ")}]`;
  const write = WRITERS[found.how];
  return {
    general: `${general} = ${write(layer, found, axes, channel)}`,
    here: `${here} = ${spelled(found)}`,
  };
}

const WRITERS = {
  weighted(layer, found, axes, channel) {
    const bias = found.bias === null ? "" : "b[c] + ";
    if (layer.kind === "dense") return `${bias}Σ w[c, k] · x[k],  k = 0 … ${found.rows.length - 1}`;
    const offsets = OFFSETS[found.taps.length] ?? found.taps.map((_, axis) => `u${axis}`);
    const places = axes.map((axis, number) => indexed(layer, axis, offsets[number], number));
    const [first, last] = [found.rows[0].channel, found.rows.at(-1).channel];
    const kernel = layer.kernel_shape.map((size, number) => `${offsets[number]} = 0 … ${size - 1}`);
    const only = layer.groups > 1 && first === channel ? "k = c" : `k = ${first}`;
    const channels = first === last ? only : `k = ${first} … ${last}`;
    const ranges = [channels, ...kernel.filter((_, number) => layer.kernel_shape[number] > 1)].join(
      ", ",
    );
    const used = offsets.map((offset, number) => (layer.kernel_shape[number] > 1 ? offset : "0"));
    return `${bias}Σ w[c, ${["k", ...used].join(", ")}] · x[${["k", ...places].join(", ")}],  ${ranges}`;
  },
  maximum: (layer, found, axes) => `max x[${["c", ...slid(layer, found, axes)].join(", ")}]`,
  mean: (layer, found, axes) =>
    `1/${found.divisor} · Σ x[${["c", ...slid(layer, found, axes)].join(", ")}]`,
  sum: (layer, found, axes) =>
    found.rows.map((row) => operandAt(layer, row.operand, axes)).join(" + "),
  product: (layer, found, axes) =>
    found.rows.map((row) => operandAt(layer, row.operand, axes)).join(" · "),
  copy: (layer, { rows: [row], origin }) =>
    `${layer.operands[row.operand].name}[${[row.channel, ...origin].join(", ")}]`,
};

/** `r[c, i, j]`; an axis of length 1 is read at 0 by all. */
function operandAt(layer, operand, axes) {
  const { name, shape, channel_axis: channelAxis } = layer.operands[operand];
  const sizes = shape.filter((_, axis) => axis !== channelAxis);
  const places = sizes.map((size, axis) =>
    size === 1 ? "0" : axes[axis + axes.length - sizes.length],
  );
  return `${name}[${[shape[channelAxis] === 1 ? "0" : "c", ...places].join(", ")}]`;
}

function slid(layer, found, axes) {
  const offsets = OFFSETS[found.taps.length] ?? found.taps.map((_, axis) => `u${axis}`);
  if (!layer.kernel_shape) return offsets;
  return axes.map((axis, number) => indexed(layer, axis, offsets[number], number));
}

/** Which index an axis reads: `2·i + u − 1`, or of a transposed convolution `(i + 1 − u) / 2`. */
function indexed(layer, axis, offset, number) {
  const [stride, dilation] = [layer.strides, layer.dilations].map((each) => each?.[number] ?? 1);
  const pad = layer.pads?.[number] ?? 0;
  const moved =
    layer.kernel_shape[number] > 1 ? (dilation > 1 ? `${dilation}·${offset}` : offset) : "";
  if (layer.kind === "transposed_convolution") {
    const inner = [axis, pad && `+ ${pad}`, moved && `− ${moved}`].filter(Boolean).join(" ");
    return stride > 1 ? `(${inner}) / ${stride}` : inner;
  }
  return [stride > 1 ? `${stride}·${axis}` : axis, moved && `+ ${moved}`, pad && `− ${pad}`]
    .filter(Boolean)
    .join(" ");
}

function spelled(found) {
  const total = rounded(found.total);
  const values = found.rows.map((row) => rounded(row.sum));
  if (found.how === "weighted") {
    const weighed = rounded(found.rows.reduce((all, row) => all + row.sum, 0));
    return found.bias === null
      ? weighed
      : `${rounded(found.bias)} + ${bracketed(weighed)} = ${total}`;
  }
  if (found.how === "mean") return `${values[0]} / ${found.divisor} = ${total}`;
  if (found.how === "sum") {
    return `${values.map((each, place) => (place ? bracketed(each) : each)).join(" + ")} = ${total}`;
  }
  if (found.how === "product") return `${values.map(bracketed).join(" · ")} = ${total}`;
  return total;
}

const bracketed = (text) => (text.startsWith("−") ? `(${text})` : text);
