/** The input with the fields of one unit of each layer, one in the other. */

import { colour, sharpen } from "../../dom.js";
import { aspect, drawMap, rectangle } from "../../figure.js";
import { cssColour, scaleFor } from "../../palette.js";

const SIDE = 240;
const MARGIN = 0.12;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{level: any, interval: [number, number][]}[]} fields From the first layer to the last.
 * @param {number} current Which of them is lifted out.
 * @param {{maps?: any, bitmap?: ImageBitmap}} picture The input as the network sees it.
 * @param {any} colours
 */
export function drawNested(canvas, fields, current, picture, colours) {
  const size = picture.bitmap ? [picture.bitmap.height, picture.bitmap.width] : picture.maps.size;
  const wide = aspect(size);
  const inner = { width: SIDE * Math.min(1, wide), height: SIDE / Math.max(1, wide) };
  const edge = SIDE * MARGIN;
  const context = sharpen(canvas, inner.width + 2 * edge, inner.height + 2 * edge);
  const box = { left: edge, top: edge, ...inner };
  const slice = sliceOf(size, fields[current] ?? fields.at(-1));
  if (picture.bitmap) {
    context.imageSmoothingEnabled = picture.bitmap.width > inner.width;
    context.drawImage(picture.bitmap, box.left, box.top, box.width, box.height);
  } else {
    drawMap(context, picture.maps.map(0), size, box, scaleFor(picture.maps.range(0), colours), {
      slice,
    });
  }
  context.strokeStyle = colour("--line");
  context.strokeRect(box.left, box.top, box.width, box.height);
  const scale = { palette: "viridis", low: -1, high: Math.max(fields.length - 1, 1) };
  for (const [place, { interval }] of fields.entries()) {
    if (place !== current)
      outline(context, rectangle(interval, size, box, { slice }), cssColour(place, scale), 1);
  }
  if (fields[current]) {
    const seen = rectangle(fields[current].interval, size, box, { slice });
    outline(context, seen, colour("--panel"), 5);
    outline(context, seen, colour("--red"), 2.5);
  }
}

function sliceOf(size, field) {
  if (size.length < 3 || !field) return 0;
  const [start, stop] = field.interval[0];
  return Math.min(Math.max(Math.floor((start + stop - 1) / 2), 0), size[0] - 1);
}

function outline(context, box, style, width) {
  if (box === null) return;
  context.strokeStyle = style;
  context.lineWidth = width;
  context.strokeRect(box.left, box.top, Math.max(box.width, 1), Math.max(box.height, 1));
}
