/**
 * Small pictures of a model's samples: an <img> of a picture, a line of a signal, the shadow of a
 * volume.
 */

import * as api from "../../api.js";
import { colour, element, sharpen } from "../../dom.js";
import { drawMap } from "../../figure.js";
import { rangeOf } from "../../maps.js";
import { parseNpy } from "../../npy.js";
import { scaleFor } from "../../palette.js";

/** @typedef {{name: string, file: string, media_type: string}} Sample */

/**
 * @param {string} model
 * @param {Sample} sample
 * @param {string | null} kind Of the model's input.
 * @param {AbortSignal} signal Ends the fetching of numbers.
 * @returns {{node: HTMLElement, repaint: () => void}}
 */
export function thumbnail(model, sample, kind, signal) {
  const address = api.sampleAddress(model, sample.file);
  if (sample.media_type.startsWith("image/")) {
    const node = element("img", {
      src: address.href,
      alt: "",
      draggable: false,
      loading: "lazy",
      decoding: "async",
    });
    return { node, repaint: () => {} };
  }
  const node = element("span", { class: "give-name" }, sample.name);
  let paint = () => {};
  numbers(address, sample, signal)
    .then((tensor) => {
      const drawn = plot(tensor, kind);
      node.replaceWith(drawn.canvas);
      paint = drawn.paint;
    })
    // The name says enough where there is nothing to draw.
    .catch(() => {});
  return { node, repaint: () => paint() };
}

/** @returns {Promise<import("../../npy.js").Tensor>} */
async function numbers(address, { media_type: type }, signal) {
  const blob = await api.blob(address, signal);
  if (type === "text/csv") return parseCsv(await blob.text());
  if (type === "application/json") {
    const values = JSON.parse(await blob.text()).inputs.flat(Infinity);
    return { shape: [values.length], data: Float64Array.from(values) };
  }
  return parseNpy(await blob.arrayBuffer());
}

/** The first channel of a table: its first column, or its only row. */
export function parseCsv(text) {
  const rows = text
    .split(/\r?\n/)
    .map((line) => line.split(",").map((cell) => (cell.trim() === "" ? NaN : Number(cell))))
    .filter((row) => !row.some(Number.isNaN));
  const values = rows.length === 1 ? rows[0] : rows.map((row) => row[0]);
  return { shape: [values.length], data: Float64Array.from(values) };
}

/** A canvas that shows the numbers, and what paints it. */
function plot({ shape, data }, kind) {
  const sizes = shape.filter((size) => size > 1).slice(kind === "signal" ? -1 : -3);
  const canvas = element("canvas", { class: sizes.length > 1 ? "give-square" : "give-line" });
  const { values, size } =
    sizes.length > 2 ? shadow(data, sizes) : { values: firstOf(data, sizes), size: sizes };
  const paint = () => {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (width === 0 || height === 0) return;
    const context = sharpen(canvas, width, height);
    canvas.removeAttribute("style");
    const scale = scaleFor(rangeOf(values), { sequential: "grey", diverging: "blue–orange" });
    context.fillStyle = colour("--sunk");
    context.fillRect(0, 0, width, height);
    drawMap(context, values, size, { left: 0, top: 0, width, height }, scale);
  };
  // It has no size while its tab is not shown.
  new ResizeObserver(paint).observe(canvas);
  return { canvas, paint };
}

const firstOf = (data, sizes) =>
  data.slice(
    0,
    sizes.reduce((product, size) => product * size, 1),
  );

/** The largest value along the first axis of a volume. */
export function shadow(data, [depth, height, width]) {
  const plane = height * width;
  const values = new Float64Array(plane).fill(-Infinity);
  for (let place = 0; place < depth * plane; place += 1) {
    values[place % plane] = Math.max(values[place % plane], data[place]);
  }
  return { values, size: [height, width] };
}
