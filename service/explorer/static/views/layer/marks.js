/** What is drawn on and around the tiles of a sheet. */

import { colour } from "../../dom.js";
import { grown } from "../../overlay.js";

/** Where a map will be: nothing jumps when it is there. */
export function drawPlaceholder(context, tile) {
  context.fillStyle = colour("--sunk");
  context.fillRect(tile.left, tile.top, tile.width, tile.height);
}

/** A frame around a tile, in one of the page's colours. */
export function drawFrame(context, tile, name, width) {
  const { left, top, width: across, height } = grown(tile, width / 2);
  context.lineWidth = width;
  context.strokeStyle = colour(name);
  context.strokeRect(left, top, across, height);
}

/** The number of a channel on a label above its tile, or below where there is no room above. */
export function drawBadge(context, tile, number, room) {
  const text = String(number);
  context.font = "600 11px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "middle";
  const width = context.measureText(text).width + 8;
  const top = tile.top >= 17 ? tile.top - 17 : tile.top + tile.height + 1;
  const left = Math.min(tile.left, room - width);
  context.fillStyle = colour("--ink");
  context.fillRect(left, top, width, 16);
  context.fillStyle = colour("--back");
  context.fillText(text, left + 4, top + 8.5);
}
