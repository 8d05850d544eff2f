/**
 * Where the cards of an arranged network lie in pixels, and the lines between them, which never
 * cross a card.
 */

/** @typedef {{left: number, top: number, width: number, height: number}} Box */
/** @typedef {{width: number, height: number}} Size */

const CORNER = 10;
const TRACK = 12;
const GUTTER_MOST = 84;
const PORT = 0.22;

/**
 * Turns happen in the gaps between columns and in the gutters between lanes only, where no card is.
 * @param {import("./graph.js").Arrangement} arrangement
 * @param {Size[]} sizes Of the cards.
 * @param {{gap: number, between: number}} space Between columns, and between lanes besides the
 *   tracks.
 * @returns {{boxes: Box[], paths: string[], width: number, height: number}}
 */
export function lay(arrangement, sizes, { gap, between }) {
  const { column, lane, columns, lanes, tracks, edges } = arrangement;
  const widths = most(
    column,
    columns,
    sizes.map(({ width }) => width),
  );
  const heights = most(
    lane,
    lanes,
    sizes.map(({ height }) => height),
  );
  const lefts = running(widths.map((width) => width + gap));
  const gutters = tracks.map(
    (count, gutter) => gutterHeight(count) + (gutter > 0 && gutter < lanes ? between : 0),
  );
  const tops = running(
    heights.map((height, each) => height + gutters[each + 1]),
    gutters[0],
  );
  const boxes = sizes.map(({ width, height }, node) => ({
    left: lefts[column[node]] + (widths[column[node]] - width) / 2,
    top: tops[lane[node]] + (heights[lane[node]] - height) / 2,
    width,
    height,
  }));
  const middle = (each) => tops[each] + heights[each] / 2;
  const bottomOf = (gutter) =>
    gutter < lanes ? tops[gutter] : tops[lanes - 1] + heights[lanes - 1] + gutters[lanes];
  const trackAt = ({ gutter, track }) => {
    const step = Math.min(TRACK, GUTTER_MOST / tracks[gutter]);
    return (
      bottomOf(gutter) - (gutter > 0 && gutter < lanes ? between / 2 : 0) - (track + 0.8) * step
    );
  };
  const right = (each) => lefts[each] + widths[each];
  const paths = edges.map(({ from, to, route }) => {
    const ends = { from: boxes[from], to: boxes[to], gap };
    const level = { from: middle(lane[from]), to: middle(lane[to]) };
    const edge = { from: right(column[from]), to: lefts[column[to]] };
    if (route === null || "lane" in route) {
      return alongLane(ends, level, edge, route === null ? null : middle(route.lane));
    }
    const side = { from: sideOf(route.gutter, lane[from]), to: sideOf(route.gutter, lane[to]) };
    return alongTrack(ends, level, edge, trackAt(route), side);
  });
  const width = columns === 0 ? 0 : right(columns - 1);
  return {
    boxes,
    paths,
    width,
    height: lanes === 0 ? 0 : tops[lanes - 1] + heights[lanes - 1] + gutters[lanes],
  };
}

const gutterHeight = (count) => (count === 0 ? 0 : Math.min(count * TRACK, GUTTER_MOST) + CORNER);

/** Whether a gutter touches a lane from above (-1), from below (1), or not at all (0). */
const sideOf = (gutter, lane) => (gutter === lane ? -1 : gutter === lane + 1 ? 1 : 0);

function most(places, count, values) {
  const largest = new Array(count).fill(0);
  for (const [node, place] of places.entries())
    largest[place] = Math.max(largest[place], values[node]);
  return largest;
}

/** Where each part begins. */
function running(parts, start = 0) {
  let next = start;
  return parts.map((part) => (next += part) - part);
}

/** A change of level inside a gap. */
function swing(x, from, gap, to) {
  const half = x + gap / 2;
  return from === to ? `H${x + gap}` : `C${half},${from} ${half},${to} ${x + gap},${to}`;
}

/** `height` is that of the lane between the two; null for neighbours. */
function alongLane({ from, to, gap }, level, edge, height) {
  const start = `M${from.left + from.width},${level.from}H${edge.from}`;
  const turn =
    height === null ? "" : `${swing(edge.from, level.from, gap, height)}H${edge.to - gap}`;
  return `${start}${turn}${swing(edge.to - gap, height ?? level.from, gap, level.to)}H${to.left}`;
}

/**
 * From the edge of one card that faces the track to that of the other; from its side where it does
 * not face it.
 */
function alongTrack({ from, to, gap }, level, edge, height, side) {
  const leave = from.left + from.width * (0.5 + PORT);
  const arrive = to.left + to.width * (0.5 - PORT);
  const start =
    side.from === 0
      ? `M${from.left + from.width},${level.from}H${edge.from}${swing(edge.from, level.from, gap, height)}`
      : rising(leave, side.from < 0 ? from.top : from.top + from.height, height);
  const end =
    side.to === 0
      ? `H${edge.to - gap}${swing(edge.to - gap, height, gap, level.to)}H${to.left}`
      : falling(arrive, height, side.to < 0 ? to.top : to.top + to.height);
  return start + end;
}

function rising(x, from, to) {
  const bend = Math.sign(to - from) * Math.min(CORNER, Math.abs(to - from));
  return `M${x},${from}V${to - bend}Q${x},${to} ${x + CORNER},${to}`;
}

function falling(x, from, to) {
  const bend = Math.sign(to - from) * Math.min(CORNER, Math.abs(to - from));
  return `H${x - CORNER}Q${x},${from} ${x},${from + bend}V${to}`;
}
