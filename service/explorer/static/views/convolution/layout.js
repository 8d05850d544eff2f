/**
 * How large the maps and the cells of the stage are, and the lines from the window to the patch
 * that it shows.
 */

import { svg } from "../../dom.js";
import { cellFor, widthOf } from "./cells.js";

const LARGEST_SIDE = 230;
const SIDE_BESIDE = 172;
const SIDE_OF_ONE = 72;
const ROOM_OF_ONE = 130;
const [LARGEST_CELL, LEAST_BESIDE] = [46, 32];
const NARROW = 560;
/** How much wider than its map a caption may be. */
export const CAPTION = 16;
const SIGN = 34;
const TOTAL = 110;
const LABEL = 96;
const GAP = 18;

/**
 * Sizes in CSS pixels. `below`: the cells have no room between the maps; `stacked`: patch, kernel
 * and products lie one below another, as signals and volumes are wide.
 */
export function measure({ found, row, inputs, pre }, width) {
  const one = pre.length === 1;
  const maps = inputs.length + (one ? 0 : 1);
  const room = width - inputs.length * (GAP + SIGN / 2) - (one ? ROOM_OF_ONE : 0);
  const narrow = width < NARROW;
  if (found.taps.length === 0)
    return sized({ cell: 0, below: false, stacked: false, narrow }, room / maps, one);
  const tight = narrow && 3 * widthOf(found.shape, LARGEST_CELL) + 2 * SIGN + 80 > width;
  const stacked = (tight || found.taps.length !== 2) && Boolean(row.weights);
  const several = row.weights && !stacked ? 3 : 1;
  const besides = sideways(row, stacked, narrow);
  const roomBeside = (cell) => room - several * widthOf(found.shape, cell) - besides - 2 * GAP;
  const beside = narrow ? null : largestCell((cell) => roomBeside(cell) >= maps * SIDE_BESIDE);
  if (beside !== null) {
    const side = roomBeside(beside) / maps;
    return sized({ cell: beside, below: false, stacked, narrow }, side, one);
  }
  const cell = cellFor(found.shape, (width - besides) / several, LARGEST_CELL);
  return sized({ cell, below: true, stacked, narrow }, room / maps, one);
}

/** The largest cell that fits between the maps; null if even the least does not. */
function largestCell(fits) {
  for (let cell = LARGEST_CELL; cell >= LEAST_BESIDE; cell -= 2) {
    if (fits(cell)) return cell;
  }
  return null;
}

/** What stands beside the cells: signs and the total, which goes below them where it is narrow. */
function sideways({ weights }, stacked, narrow) {
  if (stacked) return narrow ? SIGN : SIGN + LABEL;
  const signs = weights ? 3 : 1;
  return narrow ? (signs - 1) * SIGN + GAP : signs * SIGN + TOTAL;
}

function sized(layout, side, one) {
  const rounded = Math.max(Math.floor(Math.min(side - CAPTION, LARGEST_SIDE)), 80);
  return {
    ...layout,
    side: rounded,
    sideOfOne: SIDE_OF_ONE,
    outputSide: one ? SIDE_OF_ONE : rounded,
  };
}

/** Two lines from the corners of the window on the map to those of the enlarged patch. */
export function zoomLines(lines, root, zoom) {
  if (!zoom) {
    lines.replaceChildren();
    return;
  }
  const [base, from, to] = [root, zoom.from, zoom.to].map((each) => each.getBoundingClientRect());
  const { left, top, width, height } = zoom.outline;
  const x = (value) => value + from.left - base.left;
  const y = (value) => value + from.top - base.top;
  const patch = {
    left: to.left - base.left,
    top: to.top - base.top,
    right: to.right - base.left,
    bottom: to.bottom - base.top,
  };
  const ends = zoom.below
    ? [
        [x(left), y(top + height), patch.left, patch.top],
        [x(left + width), y(top + height), patch.right, patch.top],
      ]
    : [
        [x(left + width), y(top), patch.left, patch.top],
        [x(left + width), y(top + height), patch.left, patch.bottom],
      ];
  lines.setAttribute("viewBox", `0 0 ${base.width} ${base.height}`);
  lines.replaceChildren(...ends.map(([x1, y1, x2, y2]) => svg("line", { x1, y1, x2, y2 })));
}
