/**
 * Paints some maps of a layer small: four beside each other, signals below each other, single
 * numbers as bars.
 */

import { colour, sharpen } from "../../dom.js";
import { aspect, drawMap } from "../../figure.js";
import { rangeOf } from "../../maps.js";
import { cssColour, scaleFor } from "../../palette.js";
import { scalesFor } from "../../ranges.js";

const SPACE = 4;
const MOST_BARS = 40;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("../../maps.js").Maps | ImageBitmap} maps
 * @param {{width: number, height: number}} size In CSS pixels.
 * @param {{sequential: string, diverging: string, scaling: string}} colours
 */
export function paintThumbnail(canvas, maps, { width, height }, colours) {
  const context = sharpen(canvas, width, height);
  if (maps instanceof ImageBitmap) {
    const box = fitted([maps.height, maps.width], { left: 0, top: 0, width, height });
    context.imageSmoothingEnabled = maps.width > box.width;
    context.drawImage(maps, box.left, box.top, box.width, box.height);
    return;
  }
  if (maps.length === 1) {
    paintNumbers(context, maps.data, { left: 0, top: 0, width, height }, colours);
    return;
  }
  const across = columnsOf(maps, width / height);
  const down = Math.ceil(maps.channels / across);
  const cell = {
    width: (width - SPACE * (across - 1)) / across,
    height: (height - SPACE * (down - 1)) / down,
  };
  const slice = maps.size.length > 2 ? Math.floor(maps.size.at(-3) / 2) : 0;
  const scales = scalesFor(maps, colours, null);
  for (let place = 0; place < maps.channels; place += 1) {
    const left = (place % across) * (cell.width + SPACE);
    const top = Math.floor(place / across) * (cell.height + SPACE);
    const box =
      maps.size.length === 1 ? { left, top, ...cell } : fitted(maps.size, { left, top, ...cell });
    drawMap(context, maps.map(place), maps.size, box, scales(place), { slice });
  }
}

/** All in a row where the room is low; signals below each other, for they are wide themselves. */
function columnsOf({ channels, size }, shape) {
  if (shape > 2) return channels;
  return size.length === 1 ? 1 : Math.min(channels, 2);
}

/** The largest box of a map's shape in the middle of another. */
function fitted(size, { left, top, width, height }) {
  const shape = aspect(size);
  const across = Math.min(width, height * shape);
  const down = across / shape;
  return {
    left: left + (width - across) / 2,
    top: top + (height - down) / 2,
    width: across,
    height: down,
  };
}

/** Few numbers as bars on a line at zero, many as cells. */
function paintNumbers(context, values, box, colours) {
  const [low, high] = rangeOf(values);
  if (values.length > MOST_BARS) {
    const side = Math.sqrt((box.width * box.height) / values.length);
    const across = Math.max(Math.ceil(box.width / side), 1);
    const scale = scaleFor([low, high], colours);
    for (let place = 0; place < values.length; place += 1) {
      context.fillStyle = cssColour(values[place], scale);
      context.fillRect(
        (place % across) * side,
        Math.floor(place / across) * side,
        Math.ceil(side),
        Math.ceil(side),
      );
    }
    return;
  }
  const [bottom, top] = [Math.min(low, 0), Math.max(high, 0)];
  const y = (value) => box.top + 3 + (box.height - 6) * ((top - value) / (top - bottom || 1));
  const step = box.width / values.length;
  context.fillStyle = colour("--accent");
  for (let place = 0; place < values.length; place += 1) {
    const value = Number.isFinite(values[place]) ? values[place] : 0;
    const ends = [y(value), y(0)].sort((one, other) => one - other);
    context.fillRect(
      place * step + step * 0.15,
      ends[0],
      step * 0.7,
      Math.max(ends[1] - ends[0], 1),
    );
  }
  context.fillStyle = colour("--line");
  context.fillRect(0, y(0), box.width, 1);
}
