/**
 * The maps between the input and a unit as planes one behind the other, joined by the edges of its
 * patches.
 */

import { colour, sharpen } from "../../dom.js";
import { aspect, drawMap, rectangle } from "../../figure.js";
import { scaleFor } from "../../palette.js";

const HEIGHT = 150;
const NARROW = 0.5;
const RISE = 0.22;
const TOP = 12;
const TEXT = 40;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("./levels.js").Level[]} levels From the input to the unit.
 * @param {(level: any) => ({maps?: any, bitmap?: ImageBitmap} | null)} imageOf What to paint on a
 *   plane.
 * @param {any} colours As the state has them.
 * @param {number} width In CSS pixels, at least.
 */
export function drawStack(canvas, levels, imageOf, colours, width) {
  const planes = levels.map((level) => ({ level, box: boxOf(level) }));
  const widest = Math.max(...planes.map(({ box }) => box.width)) * NARROW;
  const step = Math.max(width / levels.length, widest + 24);
  const tallest = Math.max(...planes.map(({ box }) => box.height));
  const height = TOP + tallest + widest * 2 * RISE + TEXT;
  const context = sharpen(canvas, Math.floor(step * levels.length), Math.ceil(height));
  const placed = planes.map(({ level, box }, place) => ({
    level,
    box,
    seen: rectangleOf(level, box),
    project: projection(
      place * step + (step - box.width * NARROW) / 2,
      TOP + (tallest - box.height) / 2,
      box,
    ),
  }));
  for (const [place, plane] of placed.entries()) {
    drawPlane(context, plane, imageOf(plane.level), colours);
    caption(context, plane, place * step + step / 2, height - TEXT + 16, step);
    if (place > 0) joinEdges(context, placed[place - 1], plane);
    outline(context, plane);
  }
}

/** A plane keeps its map's aspect; a vector is a thin one. */
function boxOf({ size }) {
  const wide = size.length === 0 ? 0.2 : size.length === 1 ? 1 : aspect(size);
  const height = size.length === 1 ? HEIGHT / 2 : HEIGHT / Math.max(1, wide);
  return {
    left: 0,
    top: 0,
    width: size.length === 1 ? HEIGHT : HEIGHT * Math.min(1, wide),
    height,
  };
}

/** Seen from the side: narrowed, and rising to the right. */
function projection(left, top, box) {
  const lift = box.width * NARROW * RISE * 2;
  return { a: NARROW, b: -NARROW * RISE * 2, c: 0, d: 1, e: left, f: top + lift };
}

const project = ({ a, b, e, f }, x, y) => [a * x + e, b * x + y + f];

/** The patch on the plane: of a volume its middle slice. */
function rectangleOf({ size, clipped }, box) {
  if (size.length === 0 || clipped.length !== size.length) return { ...box };
  const slice = size.length > 2 ? Math.floor((clipped[0][0] + clipped[0][1] - 1) / 2) : 0;
  return rectangle(clipped, size, box, { slice }) ?? { ...box };
}

function drawPlane(context, { level, box, project: at }, image, colours) {
  context.save();
  context.transform(at.a, at.b, at.c, at.d, at.e, at.f);
  context.fillStyle = colour("--sunk");
  context.fillRect(0, 0, box.width, box.height);
  if (image?.bitmap) {
    context.imageSmoothingEnabled = image.bitmap.width > box.width;
    context.drawImage(image.bitmap, 0, 0, box.width, box.height);
  } else if (image?.maps) {
    const slice = level.size.length > 2 ? level.position[0] : 0;
    drawMap(
      context,
      image.maps.map(0),
      image.maps.size,
      box,
      scaleFor(image.maps.range(0), colours),
      { slice },
    );
  }
  context.fillStyle = colour("--shade");
  const seen = rectangleOf(level, box);
  context.beginPath();
  context.rect(0, 0, box.width, box.height);
  context.rect(seen.left, seen.top, seen.width, seen.height);
  context.fill("evenodd");
  context.strokeStyle = colour("--soft");
  context.lineWidth = 1;
  context.strokeRect(0, 0, box.width, box.height);
  context.restore();
}

function outline(context, { seen, project: at }) {
  context.save();
  context.transform(at.a, at.b, at.c, at.d, at.e, at.f);
  context.strokeStyle = colour("--red");
  context.lineWidth = 2;
  context.strokeRect(seen.left, seen.top, Math.max(seen.width, 1.5), Math.max(seen.height, 1.5));
  context.restore();
}

const corners = ({ left, top, width, height }) => [
  [left, top],
  [left + width, top],
  [left, top + height],
  [left + width, top + height],
];

function joinEdges(context, before, after) {
  const to = corners(after.seen);
  context.strokeStyle = colour("--red");
  context.globalAlpha = 0.55;
  context.lineWidth = 1;
  context.beginPath();
  for (const [place, [x, y]] of corners(before.seen).entries()) {
    context.moveTo(...project(before.project, x, y));
    context.lineTo(...project(after.project, ...to[place]));
  }
  context.stroke();
  context.globalAlpha = 1;
}

function caption(context, { level }, x, y, room) {
  const sizes = level.clipped.map(([start, stop]) => stop - start);
  context.textAlign = "center";
  context.fillStyle = colour("--ink");
  context.font = "600 12px system-ui, sans-serif";
  context.fillText(
    level.index === null ? "input" : fitted(context, `${level.index} `, level.name, room - 8),
    x,
    y,
  );
  context.fillStyle = colour("--soft");
  context.font = "12px system-ui, sans-serif";
  const extent = level.size.join("×");
  const part = sizes.join("×") === extent ? "all" : sizes.join("×");
  context.fillText(
    fitted(context, "", extent ? `${part} of ${extent}` : "all", room - 4),
    x,
    y + 16,
  );
}

/** The text after what it begins with, or its end after an ellipsis, within a width. */
function fitted(context, start, text, room) {
  let shown = text;
  while (shown.length > 4 && context.measureText(start + shown).width > room) {
    shown = `…${shown.slice(2)}`;
  }
  return start + shown;
}
