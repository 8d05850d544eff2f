/**
 * What of the state a layer's view shows: its maps, the unit that is followed, the units that see a
 * pixel.
 */

import { seeing } from "../../fields.js";

/** The unit that everything follows: the one under the pointer, or else the chosen one. */
export const shownUnit = ({ pointed, channel, unit }) =>
  pointed ?? (unit === null ? null : { channel, unit });

/**
 * The maps of the chosen layer, also while they are fetched for another input; null if they are
 * another layer's.
 */
export const mapsOf = ({ scene: { maps, layer } }) =>
  maps.value?.layer === layer ? maps.value : null;

/** The unit, if these maps have it: another view may still speak of the former layer. */
export function fitting(found, { channels, size }) {
  if (!found || !(found.channel < channels) || found.unit?.length !== size.length) return null;
  return found.unit.every((index, axis) => index < size[axis]) ? found : null;
}

/**
 * The units that see the pixel under the pointer; "none" if no unit does, null while there is no
 * such pixel.
 */
export function litUnits({ scene: { fields }, pixel, pixelOn }, maps) {
  const key = pixelOn === "picture" ? "picture" : "clipped";
  if (pixel === null || !fields.value?.axes.every((axis) => axis[key])) return null;
  return seeing(fields.value, pixel, maps.size, key) ?? "none";
}

/** Of which size the maps will be, from what the API lists; an open length counts as 1. */
export function expected({ output_shape: shape, channel_axis: axis }) {
  const size = shape.filter((_, each) => each !== axis).map((length) => length ?? 1);
  return { size, channels: axis === null ? 1 : (shape[axis] ?? 1) };
}
