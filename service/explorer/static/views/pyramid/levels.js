/** The tensors between the input and a unit, each with the patch that the unit depends on. Pure. */

/** @typedef {[number, number]} Interval Half-open. */
/**
 * @typedef {object} Level
 * @property {number | null} index Of the layer; null for the network's input.
 * @property {string} name
 * @property {any} layer As the API lists it; null for the input.
 * @property {number[]} size Of the map's axes.
 * @property {Interval[]} interval The patch, with padding.
 * @property {Interval[]} clipped Without.
 * @property {number[]} position Of the unit itself; of other levels, the middle of the patch.
 */

/**
 * @param {any} chosen The unit's layer, as the API lists it.
 * @param {number[]} unit
 * @param {any[]} levels As `GET /layers/{n}/pyramid` gives them, the input last.
 * @param {any[]} layers As `GET /layers` lists them.
 * @param {number[]} inputSize Sizes of the input's spatial axes.
 * @returns {Level[]} From the input to the unit itself.
 */
export function path(chosen, unit, levels, layers, inputSize) {
  const own = unit.map((index) => [index, index + 1]);
  const last = {
    index: chosen.index,
    name: chosen.name,
    layer: chosen,
    size: mapSize(chosen),
    interval: own,
    clipped: own,
    position: unit,
  };
  const before = levels.map(({ layer: reference, interval, clipped }) => {
    const layer = reference === null ? null : layers[reference.index];
    const size = layer === null ? inputSize : mapSize(layer);
    const position = clipped.map(([start, stop]) => Math.floor((start + stop - 1) / 2));
    return {
      index: layer?.index ?? null,
      name: layer?.name ?? "input",
      layer,
      size,
      interval,
      clipped,
      position,
    };
  });
  return [...before.reverse(), last];
}

/** Sizes of a layer's spatial axes. */
export const mapSize = (layer) =>
  layer.output_shape.filter((_, axis) => axis !== layer.channel_axis);

/**
 * The levels for which there is room: both ends, then those where the map's size changes, then
 * others, evenly.
 * @param {Level[]} way
 * @param {number} most
 */
export function shownLevels(way, most) {
  if (way.length <= most) return way;
  const mapped = way.filter(
    ({ size }, place) => size.length > 0 || place === 0 || place === way.length - 1,
  );
  const inner = mapped.slice(1, -1);
  const turning = inner.filter(
    ({ size }, place) => size.join() !== (inner[place + 1]?.size.join() ?? ""),
  );
  const room = most - 2;
  const picked = evenly(turning, room);
  const rest = inner.filter((level) => !picked.includes(level));
  const filled = new Set([...picked, ...evenly(rest, room - picked.length)]);
  return [mapped[0], ...inner.filter((level) => filled.has(level)), mapped.at(-1)];
}

function evenly(list, count) {
  if (count <= 0) return [];
  if (list.length <= count) return list;
  return Array.from(
    { length: count },
    (_, place) => list[Math.floor(((place + 0.5) * list.length) / count)],
  );
}

/**
 * For each level with a field in closed form: what its middle unit sees of the input,
 * `[i·stride − padding, i·stride − padding + size)` after Araujo, Norris, Sim (Distill 2019).
 * @param {Level[]} way
 * @returns {{level: Level, interval: Interval[]}[]} From the first layer to the unit's own.
 */
export function nestedFields(way) {
  return way
    .filter(
      ({ layer, position }) =>
        layer?.receptive_field.size && layer.receptive_field.padding && position.length > 0,
    )
    .map((level) => ({ level, interval: inputInterval(level) }))
    .filter(({ interval }) => interval.length > 0);
}

function inputInterval({ layer, position }) {
  const { size, stride, padding } = layer.receptive_field;
  if (size.length !== position.length) return [];
  return size.map((extent, axis) => {
    const start = position[axis] * stride[axis] - padding[axis];
    return [start, start + extent];
  });
}
