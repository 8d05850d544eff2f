/** A layer's activations (or an input) as maps: one for each channel, of any rank. */

/** @typedef {import("./npy.js").Tensor} Tensor */
/** @typedef {import("./npy.js").Values} Values */

/** @typedef {Maps & {layer: number, input: string}} LayerMaps Which layer's and for which input. */

export class Maps {
  /**
   * @param {Tensor} tensor Without the batch axis.
   * @param {number | null} channelAxis Where the channels lie; null if there is only one.
   * @param {number[]} [numbers] The channels' own numbers, where only some were asked for.
   */
  constructor(tensor, channelAxis, numbers) {
    const { shape, data } = channelsFirst(tensor, channelAxis);
    /** Sizes of the spatial axes; empty for a dense layer. */
    this.size = shape.slice(1);
    this.channels = shape[0];
    this.data = data;
    this.length = this.size.reduce((product, size) => product * size, 1);
    this.numbers = numbers ?? Array.from({ length: this.channels }, (_, channel) => channel);
  }

  /**
   * The values of one map, C order; a view, not a copy.
   * @param {number} channel
   */
  map(channel) {
    const place = channel * this.length;
    return this.data.subarray(place, place + this.length);
  }

  /**
   * The value of one unit.
   * @param {number} channel
   * @param {number[]} position
   */
  at(channel, position) {
    return this.data[channel * this.length + offset(position, this.size)];
  }

  /**
   * [least, largest] of a map, or of all; what is not finite does not count.
   * @param {number} [channel]
   */
  range(channel) {
    return rangeOf(channel === undefined ? this.data : this.map(channel));
  }
}

/**
 * Place of a position in C order.
 * @param {number[]} position
 * @param {number[]} size
 */
export function offset(position, size) {
  return position.reduce((place, index, axis) => place * size[axis] + index, 0);
}

/**
 * Position of a place in C order.
 * @param {number} place
 * @param {number[]} size
 */
export function positionOf(place, size) {
  const position = new Array(size.length).fill(0);
  let rest = place;
  for (let axis = size.length - 1; axis >= 0; axis -= 1) {
    position[axis] = rest % size[axis];
    rest = Math.floor(rest / size[axis]);
  }
  return position;
}

/**
 * [least, largest] of numbers, 0 and 0 if none is finite.
 * @param {Values} values
 */
export function rangeOf(values) {
  let low = Infinity;
  let high = -Infinity;
  for (let place = 0; place < values.length; place += 1) {
    const value = values[place];
    if (Number.isFinite(value)) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : [0, 0];
}

/**
 * @param {Tensor} tensor
 * @param {number | null} axis
 * @returns {Tensor} The same with the channel axis first.
 */
function channelsFirst(tensor, axis) {
  const { shape, data } = tensor;
  if (axis === null || shape.length === 0) {
    return { shape: [1, ...shape], data };
  }
  if (axis === 0) {
    return { shape, data };
  }
  const order = [shape[axis], ...shape.filter((_, each) => each !== axis)];
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const outer = shape.slice(0, axis).reduce((product, size) => product * size, 1);
  const turned = new /** @type {any} */ (data.constructor)(data.length);
  let place = 0;
  for (let channel = 0; channel < shape[axis]; channel += 1) {
    for (let before = 0; before < outer; before += 1) {
      const start = (before * shape[axis] + channel) * inner;
      for (let after = 0; after < inner; after += 1) {
        turned[place] = data[start + after];
        place += 1;
      }
    }
  }
  return { shape: order, data: turned };
}
