/**
 * Receptive fields of all units of a layer, from the tables of `GET /layers/{n}/receptive-fields`:
 * no round trip for a unit. Intervals are half-open, one for each spatial axis of the source.
 */

/** @typedef {[number, number]} Interval */
/**
 * @typedef {object} AxisTable
 * @property {number | null} follows The layer's axis that this axis of the source follows; null:
 *   all see the same.
 * @property {number} size How long the source is along this axis.
 * @property {Interval[]} interval With padding.
 * @property {Interval[]} clipped Without.
 * @property {Interval[]} picture In pixels of the posted picture; null if none was posted.
 * @property {Interval} frame Null without a posted picture. Where the whole source begins and ends
 *   in the posted picture: real numbers.
 */
/**
 * @typedef {object} Seen What a unit sees.
 * @property {Interval[]} interval
 * @property {Interval[]} clipped
 * @property {Interval[] | null} picture
 * @property {boolean} nothing Whether it sees padding only.
 * @param {Interval} interval
 */

const isEmpty = ([start, stop]) => stop <= start;

/**
 * @param {{axes: AxisTable[]}} table
 * @param {number[]} position
 * @returns {Seen}
 */
export function seenBy(table, position) {
  /** @param {"interval" | "clipped" | "picture"} key */
  const pick = (key) =>
    table.axes.map((axis) => axis[key][axis.follows === null ? 0 : position[axis.follows]]);
  const clipped = pick("clipped");
  const pictured = table.axes.length > 0 && table.axes.every((axis) => axis.picture);
  const nothing = clipped.some(isEmpty);
  return {
    interval: pick("interval"),
    clipped,
    picture: pictured ? rectangle(pick("picture")) : null,
    nothing,
  };
}

/**
 * Empty along every axis if along one, as the API says it of a single unit.
 * @param {Interval[]} intervals
 */
const rectangle = (intervals) =>
  intervals.some(isEmpty) ? intervals.map(() => /** @type {Interval} */ ([0, 0])) : intervals;

/**
 * The units that see a pixel: an interval for each axis of the layer's map, null if none does.
 * @param {{axes: AxisTable[]}} table
 * @param {number[]} pixel On the source, or on the posted picture with `key` "picture".
 * @param {number[]} size Of the layer's map.
 * @param {"clipped" | "picture"} [key]
 * @returns {Interval[] | null}
 */
export function seeing(table, pixel, size, key = "clipped") {
  const units = size.map((length) => /** @type {Interval} */ ([0, length]));
  for (const [place, axis] of table.axes.entries()) {
    /** @param {Interval} interval */
    const holds = ([start, stop]) => start <= pixel[place] && pixel[place] < stop;
    if (axis.follows === null) {
      if (!holds(axis[key][0])) return null;
      continue;
    }
    const first = axis[key].findIndex(holds);
    if (first < 0) return null;
    const [start, stop] = units[axis.follows];
    units[axis.follows] = [
      Math.max(start, first),
      Math.min(stop, axis[key].findLastIndex(holds) + 1),
    ];
  }
  return units.every(([start, stop]) => start < stop) ? units : null;
}

/**
 * How much of an interval is padding: before the source begins, and after it ends.
 * @param {Interval} interval
 * @param {number} size Of the source.
 * @returns {[number, number]}
 */
export function padding([start, stop], size) {
  return [Math.max(0, Math.min(stop, 0) - start), Math.max(0, stop - Math.max(start, size))];
}

/**
 * An interval of the source, padding included, as real pixels of the posted picture.
 * @param {AxisTable} axis
 * @param {Interval} interval
 * @returns {Interval}
 */
export function inPicture(axis, [start, stop]) {
  const [from, to] = axis.frame;
  const scale = (to - from) / axis.size;
  return [from + start * scale, from + stop * scale];
}

/**
 * Where to draw what a unit sees: `solid` is what is there, null if nothing is; `whole` reaches
 * over the padding too.
 * @param {{axes: AxisTable[]}} table
 * @param {Seen} seen
 * @param {"picture" | "source"} on Pixels of the posted picture, or of the source.
 * @returns {{solid: Interval[] | null, whole: Interval[]}}
 */
export function drawnOn(table, seen, on) {
  if (on === "source") return { solid: seen.nothing ? null : seen.clipped, whole: seen.interval };
  const pixels = /** @type {Interval[]} */ (seen.picture);
  const solid = seen.nothing || pixels.some(isEmpty) ? null : pixels;
  /** @type {Interval[]} */
  const whole = table.axes.map((axis, place) => {
    const [start, stop] = inPicture(axis, seen.interval[place]);
    if (solid === null) return [start, stop];
    const [first, end] = pixels[place];
    const [before, after] = beyond(axis, seen.interval[place], pixels[place]);
    return [before ? Math.min(start, first) : first, after ? Math.max(stop, end) : end];
  });
  return { solid, whole };
}

/**
 * Whether an interval begins before, and ends after, all that the picture gives: padding, or what
 * fills it up.
 * @param {AxisTable} axis
 * @param {Interval} interval
 * @param {Interval} interval
 */
function beyond(axis, interval, [first, stop]) {
  const [before, after] = padding(interval, axis.size);
  const [from, to] = inPicture(axis, interval);
  const pixel = (axis.frame[1] - axis.frame[0]) / axis.size;
  return [before > 0 || from < first - pixel, after > 0 || to > stop + pixel];
}

/**
 * Intervals as text: `[166, 249) × [86, 169)`, half-open as the API gives them.
 * @param {Interval[]} intervals
 */
export function asText(intervals) {
  return intervals.map(([start, stop]) => `[${start}, ${stop})`).join(" × ");
}
