/** Sheets of kernels [out, in, ...kernel]: a tile for each kernel, coloured about zero. */

import { colour, sharpen } from "../../dom.js";
import { drawMap } from "../../figure.js";
import { rangeOf, positionOf } from "../../maps.js";
import { paint, pixels, scaleFor } from "../../palette.js";

const GAP = 3;
const LARGEST_TILE = 44;
const SMALLEST_TILE = 6;
const MOST_HEIGHT = 6000;

/**
 * @typedef {object} Sheet What was drawn, for finding a weight again.
 * @property {any[]} tiles Boxes with `output` and `input`.
 * @property {import("../../palette.js").Scale} scale
 * @property {number[]} plane Rows and columns of a tile.
 */

/**
 * All kernels, a row for each output where it has several; or of one output only, `only`.
 * @returns {Sheet}
 */
export function sheetOf(canvas, tensor, { only, width, channel, colours }) {
  const { shape, data, first } = tensor;
  if (data.length === shape[0] * (shape[1] ?? 1))
    return matrix(canvas, tensor, { only, width, channel, colours });
  const [outputs, inputs] = shape;
  const length = data.length / (outputs * inputs);
  const plane = planeOf(shape.slice(2));
  const rows = only === null ? Array.from({ length: outputs }, (_, each) => each) : [only - first];
  const grid = layout(
    only === null && inputs > 1 ? inputs : null,
    rows.length * inputs,
    plane,
    width,
  );
  const context = sharpen(canvas, grid.width, grid.height);
  const range = rangeOf(data);
  const tiles = [];
  for (const [row, output] of rows.entries()) {
    const kernels = data.subarray(output * inputs * length, (output + 1) * inputs * length);
    const scale = symmetric(colours.scaling === "map" ? rangeOf(kernels) : range, colours);
    for (let input = 0; input < inputs; input += 1) {
      const box = grid.box(row * inputs + input);
      if (box.top > MOST_HEIGHT) break;
      drawKernel(
        context,
        kernels.subarray(input * length, (input + 1) * length),
        shape.slice(2),
        plane,
        box,
        scale,
      );
      tiles.push({ output: output + first, input, ...box });
    }
  }
  markChannel(context, tiles, channel);
  return {
    tiles,
    scale: symmetric(scaleRange(data, tensor, channel, colours, range), colours),
    plane,
  };
}

/**
 * Kernels over three colours as colours: mid-grey is zero, each scaled by its own or the layer's
 * largest weight.
 */
export function colourSheet(canvas, tensor, { width, channel, colours }) {
  const { shape, data, first } = tensor;
  const [outputs, parts, rows, columns] = shape;
  const length = parts * rows * columns;
  const grid = layout(null, outputs, [rows, columns], width);
  const context = sharpen(canvas, grid.width, grid.height);
  const range = rangeOf(data);
  const tiles = [];
  for (let output = 0; output < outputs; output += 1) {
    const kernel = data.subarray(output * length, (output + 1) * length);
    const { high } = symmetric(colours.scaling === "map" ? rangeOf(kernel) : range, colours);
    const box = grid.box(output);
    paint(
      context,
      colourPixels(kernel, rows, columns, high),
      box.left,
      box.top,
      box.width,
      box.height,
    );
    tiles.push({ output: output + first, input: null, ...box });
  }
  markChannel(context, tiles, channel);
  return {
    tiles,
    scale: symmetric(scaleRange(data, tensor, channel, colours, range), colours),
    plane: [rows, columns],
  };
}

/** Weights without a kernel as one picture: outputs down, inputs across. */
function matrix(canvas, { shape, data, first }, { only, width, channel, colours }) {
  const [outputs, inputs] = [shape[0], shape[1] ?? 1];
  const rows = only === null ? outputs : 1;
  const start = only === null ? 0 : (only - first) * inputs;
  const cell = Math.max(Math.min(LARGEST_TILE / 2, Math.floor(width / inputs)), 0.25);
  const tall = Math.max(
    Math.min(cell, MOST_HEIGHT / rows),
    only === null ? Math.min(320 / rows, 16) : 28,
  );
  const context = sharpen(canvas, Math.ceil(inputs * cell), Math.ceil(rows * tall));
  const values = data.subarray(start, start + rows * inputs);
  const scale = symmetric(rangeOf(values), colours);
  const box = { left: 0, top: 0, width: inputs * cell, height: rows * tall };
  paint(context, pixels(values, inputs, rows, scale), 0, 0, box.width, box.height);
  if (only === null)
    markChannel(context, [{ output: channel, ...box, top: channel * tall, height: tall }], channel);
  return {
    tiles: [{ output: null, input: null, ...box, start, first }],
    scale,
    plane: [rows, inputs],
  };
}

/** The weight under a point: its indices as text, and its value; null beside the tiles. */
export function kernelAt({ tiles, plane }, { shape, data, first }, { x, y }) {
  const [rows, columns] = plane;
  const tile = tiles.find(
    (each) =>
      each.left <= x && x < each.left + each.width && each.top <= y && y < each.top + each.height,
  );
  if (!tile) return null;
  const row = Math.floor(((y - tile.top) / tile.height) * rows);
  const column = Math.floor(((x - tile.left) / tile.width) * columns);
  if (tile.output === null) {
    const place = tile.start + row * columns + column;
    const output = Math.floor(place / columns) + first;
    return { output, text: `weight of output ${output}, input ${column}`, value: data[place] };
  }
  const length = shape.slice(2).reduce((product, size) => product * size, 1);
  const inside = insideKernel(row, column, shape.slice(2));
  const [outputStart, input] = [(tile.output - first) * shape[1] * length, tile.input ?? 0];
  const position = positionOf(inside, shape.slice(2)).join(", ");
  if (tile.input === null) {
    const parts = Array.from(
      { length: shape[1] },
      (_, part) => data[outputStart + part * length + inside],
    );
    const value = parts.reduce((best, each) => (Math.abs(each) > Math.abs(best) ? each : best), 0);
    return {
      output: tile.output,
      text: `output ${tile.output}, at ${position}, the largest of its colours`,
      value,
    };
  }
  const value = data[outputStart + input * length + inside];
  return {
    output: tile.output,
    text: `output ${tile.output}, input ${input}, at ${position}`,
    value,
  };
}

/** The legend: the range of colours with its ends and zero. */
export function drawLegend(canvas, { low, high, palette }, coloured) {
  const [width, height] = [180, 30];
  const context = sharpen(canvas, width, height);
  const ramp = Float32Array.from({ length: 128 }, (_, place) => low + ((high - low) * place) / 127);
  const scale = { palette: coloured ? "grey" : palette, low, high };
  paint(context, pixels(ramp, 128, 1, scale), 0, 0, width, 10);
  context.fillStyle = colour("--soft");
  context.font = "11px system-ui, sans-serif";
  for (const [value, align, x] of [
    [low, "left", 0],
    [0, "center", width / 2],
    [high, "right", width],
  ]) {
    context.textAlign = align;
    context.fillText(String(Number(value.toPrecision(3))), x, 24);
  }
  canvas.setAttribute(
    "aria-label",
    `Colours from ${low.toPrecision(3)} through 0 to ${high.toPrecision(3)}`,
  );
}

const scaleRange = (data, { shape, first }, channel, colours, layerRange) => {
  if (colours.scaling !== "map" || channel === null) return layerRange;
  const length = data.length / shape[0];
  const kernels = data.subarray((channel - first) * length, (channel - first + 1) * length);
  return kernels.length > 0 ? rangeOf(kernels) : layerRange;
};

/** Diverging about zero even where no weight is negative. */
function symmetric(range, colours) {
  const [low, high] = range;
  const top = Math.max(-low, high) || 1;
  return scaleFor([-top, top], colours);
}

/**
 * Rows and columns of a tile: a signal's kernel is one row, slices of a volume's lie side by side.
 */
function planeOf(kernel) {
  if (kernel.length === 1) return [1, kernel[0]];
  if (kernel.length === 2) return kernel;
  const [rows, columns] = kernel.slice(-2);
  return [rows, columns * kernel.slice(0, -2).reduce((product, size) => product * size, 1)];
}

/** Place within a kernel of a cell of its tile. */
function insideKernel(row, column, kernel) {
  if (kernel.length < 3) return row * (kernel.at(-1) ?? 1) + column;
  const [rows, columns] = kernel.slice(-2);
  return Math.floor(column / columns) * rows * columns + row * columns + (column % columns);
}

function drawKernel(context, values, kernel, plane, box, scale) {
  const columns = plane[1];
  if (kernel.length < 3) {
    const [rows, across] = kernel.length === 1 ? [1, kernel[0]] : kernel;
    paint(context, pixels(values, across, rows, scale), box.left, box.top, box.width, box.height);
    return;
  }
  const slices = columns / kernel.at(-1);
  for (let slice = 0; slice < slices; slice += 1) {
    const part = {
      ...box,
      left: box.left + (slice * box.width) / slices,
      width: box.width / slices - 1,
    };
    drawMap(context, values, kernel, part, scale, { slice });
  }
}

function colourPixels(values, rows, columns, top) {
  const image = new ImageData(columns, rows);
  for (let place = 0; place < rows * columns; place += 1) {
    for (let part = 0; part < 3; part += 1) {
      image.data[place * 4 + part] =
        255 * (0.5 + values[part * rows * columns + place] / (2 * top));
    }
    image.data[place * 4 + 3] = 255;
  }
  return image;
}

/**
 * Where the tiles lie: in blocks of `across`, one for each output, as many blocks beside each other
 * as fit; or, with null, one after another.
 */
function layout(across, count, plane, width) {
  const [rows, columns] = plane;
  const largest = Math.max(
    1,
    Math.floor(LARGEST_TILE / Math.max(rows, Math.min(columns, 3 * rows))),
  );
  const block = across ?? 1;
  const fitting = Math.floor((width / block - 1) / columns);
  const zoom = Math.max(Math.min(largest, fitting), SMALLEST_TILE / Math.max(rows, columns), 1);
  const tile = { width: columns * zoom, height: rows * zoom };
  const gap = tile.width < 16 ? 1 : GAP;
  const blockWidth = block * (tile.width + gap) + (block > 1 ? 4 * GAP : 0);
  const blocks = Math.max(1, Math.floor((width + gap) / blockWidth));
  const lines = Math.ceil(count / block / blocks);
  return {
    width: Math.min(blocks, Math.ceil(count / block)) * blockWidth,
    height: Math.min(lines * (tile.height + gap), MOST_HEIGHT),
    box: (place) => {
      const [output, input] = [Math.floor(place / block), place % block];
      return {
        left: (output % blocks) * blockWidth + input * (tile.width + gap),
        top: Math.floor(output / blocks) * (tile.height + gap),
        ...tile,
      };
    },
  };
}

function markChannel(context, tiles, channel) {
  const marked = tiles.filter(({ output }) => output === channel);
  if (marked.length === 0) return;
  context.strokeStyle = colour("--accent");
  context.lineWidth = 2;
  const [left, top] = [
    Math.min(...marked.map((tile) => tile.left)),
    Math.min(...marked.map((tile) => tile.top)),
  ];
  const [right, bottom] = [
    Math.max(...marked.map((tile) => tile.left + tile.width)),
    Math.max(...marked.map((tile) => tile.top + tile.height)),
  ];
  context.strokeRect(left, top, right - left, bottom - top);
}
