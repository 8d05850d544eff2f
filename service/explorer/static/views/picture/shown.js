/**
 * The input as something to paint: what was posted as the browser reads it, and what the network is
 * given.
 */

import { Maps } from "../../maps.js";

/** @typedef {import("../../npy.js").Tensor} Tensor */
/** @typedef {ImageBitmap | OffscreenCanvas} Picture */

const MOST_COLOURS = 4;

/**
 * What was posted, upright; null if the browser reads no picture in it.
 * @param {Blob} blob
 * @returns {Promise<ImageBitmap | null>}
 */
export async function decoded(blob) {
  try {
    return await createImageBitmap(blob, /** @type {any} */ ({ imageOrientation: "from-image" }));
  } catch {
    return null;
  }
}

/**
 * Which axis of a tensor holds the channels: the one that the spatial sizes leave over, or else the
 * likeliest.
 * @param {number[]} shape Without the batch.
 * @param {(number | null)[] | null} sizes Of the spatial axes, where they are known.
 * @returns {number | null}
 */
export function channelAxisOf(shape, sizes) {
  if (shape.length < 2 || shape.length === sizes?.length) return null;
  const fits = (axis) =>
    shape.toSpliced(axis, 1).every((size, place) => size === (sizes?.[place] ?? size));
  const likeliest =
    sizes?.length === shape.length - 1 ? shape.findIndex((_, axis) => fits(axis)) : -1;
  if (likeliest >= 0) return likeliest;
  return shape.length === 3 && shape[2] <= MOST_COLOURS && shape[0] > MOST_COLOURS ? 2 : 0;
}

/**
 * @param {Tensor} tensor
 * @param {(number | null)[] | null} sizes
 */
export const asMaps = (tensor, sizes) => new Maps(tensor, channelAxisOf(tensor.shape, sizes));

/**
 * Numbers as a picture: three channels are red, green and blue, of others the first is shown in
 * grey. Bytes are shown as they are, other numbers from the least to the largest.
 * @param {Maps} maps With two spatial axes.
 * @returns {Picture}
 */
export function asPicture(maps) {
  const [height, width] = maps.size;
  const image = new ImageData(width, height);
  const [low, high] = maps.data instanceof Uint8Array ? [0, 255] : maps.range();
  const scale = 255 / (high - low || 1);
  const channels = [0, 1, 2].map((colour) => maps.map(maps.channels === 3 ? colour : 0));
  for (let place = 0; place < width * height; place += 1) {
    channels.forEach((values, colour) => {
      image.data[place * 4 + colour] = (values[place] - low) * scale;
    });
    image.data[place * 4 + 3] = 255;
  }
  return drawn(image);
}

/**
 * One channel of a volume, seen along an axis: a slice, or with `slice` null the largest values
 * along it.
 * @param {Maps} maps With three spatial axes.
 * @param {number} axis
 * @param {number | null} slice
 * @param {number[]} range Least and largest, black and white.
 * @returns {Picture} With the later of the two other axes across; `turned` of them, the earlier.
 */
export function section(maps, channel, axis, slice, range, turned = false) {
  const [low, high] = range;
  const values = maps.map(channel);
  const [, rows, columns] = maps.size;
  const strides = [rows * columns, columns, 1];
  const [down, across] = [0, 1, 2]
    .filter((each) => each !== axis)
    .toSorted((a, b) => (turned ? b - a : a - b));
  const image = new ImageData(maps.size[across], maps.size[down]);
  const [from, to] = slice === null ? [0, maps.size[axis]] : [slice, slice + 1];
  for (let y = 0; y < image.height; y += 1) {
    for (let x = 0; x < image.width; x += 1) {
      let best = -Infinity;
      for (let depth = from; depth < to; depth += 1) {
        best = Math.max(
          best,
          values[y * strides[down] + x * strides[across] + depth * strides[axis]],
        );
      }
      const grey = ((best - low) / (high - low || 1)) * 255;
      image.data.set([grey, grey, grey, 255], (y * image.width + x) * 4);
    }
  }
  return drawn(image);
}

function drawn(image) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
