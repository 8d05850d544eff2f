/**
 * The places of a layer's window on the maps that it reads, after the ONNX operator specifications.
 */

/**
 * @typedef {object} Tap One place of the window along one axis.
 * @property {number} offset Where in the kernel.
 * @property {number} index Where on the map that is read; beyond it if not `inside`.
 * @property {boolean} inside
 * @property {boolean} counted Whether it lies on the map or its padding, and not beyond
 *   (`ceil_mode`).
 */

/** @returns {Tap[][]} Of a convolution or pool. */
export function slidingTaps(layer, size, unit) {
  const pads = layer.pads ?? samePads(layer, size);
  return size.map((length, axis) => {
    const [before, after] = [pads[axis], pads[axis + size.length]];
    const start = unit[axis] * (layer.strides?.[axis] ?? 1) - before;
    return Array.from({ length: layer.kernel_shape[axis] }, (_, place) => {
      const index = start + place * (layer.dilations?.[axis] ?? 1);
      return {
        offset: place,
        index,
        inside: index >= 0 && index < length,
        counted: index < length + after,
      };
    });
  });
}

/** Padding of auto_pad SAME, which the API leaves open where the model leaves its sizes open. */
function samePads(layer, size) {
  const pairs = size.map((length, axis) => {
    const stride = layer.strides[axis];
    const reach = (layer.kernel_shape[axis] - 1) * layer.dilations[axis] + 1;
    const total = Math.max((Math.ceil(length / stride) - 1) * stride + reach - length, 0);
    const less = Math.floor(total / 2);
    return layer.attributes.auto_pad === "SAME_LOWER" ? [total - less, less] : [less, total - less];
  });
  return [...pairs.map(([before]) => before), ...pairs.map(([, after]) => after)];
}

/**
 * What a transposed convolution gathers: the inputs whose kernels were laid over this place, in
 * their order.
 */
export function gatheredTaps(layer, size, unit) {
  return size.map((length, axis) => {
    const taps = [];
    for (let place = layer.kernel_shape[axis] - 1; place >= 0; place -= 1) {
      const index =
        (unit[axis] + layer.pads[axis] - place * layer.dilations[axis]) / layer.strides[axis];
      const inside = index >= 0 && index < length;
      if (Number.isInteger(index)) taps.push({ offset: place, index, inside, counted: inside });
    }
    return taps;
  });
}

/** All places of an axis. */
export const wholeAxis = (length) =>
  Array.from({ length }, (_, index) => ({ offset: index, index, inside: true, counted: true }));

/** All places of the window, in C order. */
export function patch(taps, size, kernel) {
  let cells = [{ place: 0, offset: 0, inside: true, counted: true }];
  for (const [axis, along] of taps.entries()) {
    cells = cells.flatMap((cell) =>
      along.map((tap) => ({
        place: cell.place * size[axis] + tap.index,
        offset: cell.offset * kernel[axis] + tap.offset,
        inside: cell.inside && tap.inside,
        counted: cell.counted && tap.counted,
      })),
    );
  }
  return cells;
}
