/**
 * Strokes that are seen on any picture: the red outline of a receptive field and what belongs to
 * it.
 */

import { colour } from "./dom.js";

/** @typedef {import("./figure.js").Box} Box In CSS pixels of the canvas. */

const LINE = 2;
const DASH = [5, 4];

/**
 * The box grown by `by` on each side.
 * @param {Box} box
 * @param {number} by
 */
export const grown = ({ left, top, width, height }, by) => ({
  left: left - by,
  top: top - by,
  width: width + 2 * by,
  height: height + 2 * by,
});

/**
 * Dim an area but for a hole in it; all of it without one.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} area
 * @param {Box | null} hole
 */
export function dim(context, area, hole) {
  context.beginPath();
  context.rect(area.left, area.top, area.width, area.height);
  if (hole) context.rect(hole.left, hole.top, hole.width, hole.height);
  context.fillStyle = colour("--shade");
  context.fill("evenodd");
}

/**
 * A red line around a box, outside of it: what is seen stays clear, and one pixel is found too.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 */
export function outline(context, box, { dashed = false } = {}) {
  const { left, top, width, height } = grown(box, LINE / 2);
  context.save();
  context.setLineDash(dashed ? DASH : []);
  context.lineJoin = "round";
  for (const [lineWidth, strokeStyle] of [
    [LINE + 2, colour("--panel")],
    [LINE, colour("--red")],
  ]) {
    Object.assign(context, { lineWidth, strokeStyle });
    context.strokeRect(left, top, width, height);
  }
  context.restore();
}

/**
 * A thin line around a box: the edge of what the network is given.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 */
export function edge(context, { left, top, width, height }) {
  context.save();
  for (const [lineWidth, strokeStyle] of [
    [2.5, colour("--panel")],
    [1, colour("--ink")],
  ]) {
    Object.assign(context, { lineWidth, strokeStyle });
    context.strokeRect(left, top, width, height);
  }
  context.restore();
}

/**
 * Hatch an area but for a hole in it: pixels that the network is never given.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} area
 * @param {Box} hole
 */
export function hatch(context, area, hole) {
  context.save();
  context.beginPath();
  context.rect(area.left, area.top, area.width, area.height);
  context.clip();
  // The hole may reach beyond the area: even-odd alone would hatch it there.
  context.rect(hole.left, hole.top, hole.width, hole.height);
  context.clip("evenodd");
  context.fillStyle = colour("--shade");
  context.fillRect(area.left, area.top, area.width, area.height);
  context.beginPath();
  for (let x = area.left - area.height; x < area.left + area.width; x += 7) {
    context.moveTo(x, area.top + area.height);
    context.lineTo(x + area.height, area.top);
  }
  context.strokeStyle = colour("--soft");
  context.globalAlpha = 0.55;
  context.stroke();
  context.restore();
}

/**
 * A cross through a cell, and the cell itself, within an area.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} area
 * @param {Box} cell
 */
export function crosshair(context, area, cell) {
  const [x, y] = [cell.left + cell.width / 2, cell.top + cell.height / 2];
  context.save();
  context.beginPath();
  context.moveTo(x, area.top);
  context.lineTo(x, area.top + area.height);
  context.moveTo(area.left, y);
  context.lineTo(area.left + area.width, y);
  const { left, top, width, height } = grown(cell, Math.max(0, 3 - cell.width / 2));
  context.rect(left, top, width, height);
  for (const [lineWidth, strokeStyle] of [
    [3, colour("--panel")],
    [1, colour("--ink")],
  ]) {
    Object.assign(context, { lineWidth, strokeStyle });
    context.stroke();
  }
  context.restore();
}
