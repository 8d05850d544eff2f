/**
 * Paints the tiles of a sheet. Maps of pixels are coloured once, all of them, and then only copied.
 */

import { colour, short } from "../../dom.js";
import { drawMap } from "../../figure.js";
import { cssColour, inkOn, tint } from "../../palette.js";

const WIDEST = 4096;
const NUMBER = 76;

/**
 * What a sheet shows.
 * @typedef {object} Contents
 * @property {import("../../maps.js").LayerMaps} maps
 * @property {number[]} order The channels in the order shown.
 * @property {number} slice Which slice of a volume.
 * @property {(channel: number) => import("../../palette.js").Scale} scaleOf
 * @property {string[] | null} labels Of the channels, where they are classes.
 */

/** All maps (of a volume: one slice of each) as one picture, a pixel for each unit. */
export function colourAll({ maps, slice, scaleOf }) {
  const [height, width] = maps.size.slice(-2);
  const columns = Math.max(1, Math.min(Math.floor(WIDEST / width), maps.channels));
  const rows = Math.ceil(maps.channels / columns);
  const picture = new OffscreenCanvas(columns * width, rows * height);
  const image = new ImageData(picture.width, picture.height);
  const target = new Uint32Array(image.data.buffer);
  const start = maps.size.length > 2 ? slice * height * width : 0;
  for (let channel = 0; channel < maps.channels; channel += 1) {
    const scale = scaleOf(channel);
    const from = channel * maps.length + start;
    const to = Math.floor(channel / columns) * height * picture.width + (channel % columns) * width;
    for (let row = 0; row < height; row += 1) {
      tint(target, to + row * picture.width, maps.data, from + row * width, width, scale);
    }
  }
  picture.getContext("2d").putImageData(image, 0, 0);
  const at = (channel) => [(channel % columns) * width, Math.floor(channel / columns) * height];
  return { picture, at, width, height };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./tiling.js").Plan} plan
 * @param {Contents} contents
 * @param {ReturnType<typeof colourAll> | null} coloured For maps of pixels.
 * @param {number} channel
 * @param {import("../../figure.js").Box} box
 */
export function drawTile(context, plan, contents, coloured, channel, box) {
  const scale = contents.scaleOf(channel);
  if (plan.kind === "pixels") {
    if (coloured === null) return;
    const [left, top] = coloured.at(channel);
    context.imageSmoothingEnabled = coloured.width > box.width;
    const { picture, width, height } = coloured;
    context.drawImage(
      /** @type {any} */ (picture),
      left,
      top,
      width,
      height,
      box.left,
      box.top,
      box.width,
      box.height,
    );
  } else if (plan.kind === "lines") {
    context.fillStyle = colour("--sunk");
    context.fillRect(box.left, box.top, box.width, box.height);
    drawMap(context, contents.maps.map(channel), contents.maps.size, box, scale);
  } else if (plan.kind === "cells") {
    context.fillStyle = cssColour(contents.maps.data[channel], scale);
    context.fillRect(box.left, box.top, box.width, box.height);
  } else {
    drawBar(context, contents, channel, box, scale);
  }
}

/** One number of a dense layer: its name, a bar from zero, and the number. */
function drawBar(context, { maps, labels }, channel, box, scale) {
  const value = maps.data[channel];
  const middle = box.top + box.height / 2;
  const longest = labels ? Math.max(...labels.map((each) => each.length)) : 4;
  const named = Math.min(longest * 8 + 16, box.width * 0.4);
  const [from, room] = [box.left + named, box.width - named - NUMBER];
  const [low, high] = [Math.min(scale.low, 0), scale.high];
  const x = (number) =>
    from + (room * (Math.min(Math.max(number, low), high) - low)) / (high - low || 1);
  context.fillStyle = colour("--sunk");
  context.fillRect(from, box.top, room, box.height);
  context.fillStyle = cssColour(value, scale);
  const ends = Number.isFinite(value) ? [x(0), x(value)] : [from, from + room];
  const [start, stop] = [Math.min(...ends), Math.max(...ends)];
  context.fillRect(start, box.top, Math.max(stop - start, 1), box.height);
  context.fillStyle = colour("--soft");
  context.fillRect(Math.round(x(0)), box.top, 1, box.height);
  context.textBaseline = "middle";
  context.textAlign = "right";
  context.font = "13px system-ui, sans-serif";
  context.fillStyle = colour("--ink");
  const name = labels ? labels[channel] : String(maps.numbers[channel]);
  context.fillText(fitted(context, name, named - 8), from - 8, middle);
  context.font = '13px ui-monospace, "DejaVu Sans Mono", monospace';
  context.fillText(
    Number.isFinite(value) ? short(value) : brief(value),
    box.left + box.width - 5,
    middle,
  );
}

function fitted(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > room) length -= 1;
  return `${text.slice(0, length)}…`;
}

/** The values themselves on the units of an enlarged map, where there is room for them. */
export function drawNumbers(context, values, size, box, scale) {
  const [height, width] = size.slice(-2);
  const [across, down] = [box.width / width, box.height / height];
  if (size.length < 2 || across < 34 || down < 16) return;
  context.font = `${Math.min(13, across / 3.6)}px ui-monospace, "DejaVu Sans Mono", monospace`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let place = 0; place < height * width; place += 1) {
    const [x, y] = [(place % width) + 0.5, Math.floor(place / width) + 0.5];
    context.fillStyle = inkOn(values[place], scale);
    context.fillText(brief(values[place]), box.left + x * across, box.top + y * down);
  }
}

function brief(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+∞" : "−∞";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e4 || size < 1e-2) return value.toExponential(0).replace("-", "−");
  return String(Number(value.toPrecision(2))).replace("-", "−");
}
