/**
 * Arranges a network for reading: a column for each step of the longest path, lanes for branches,
 * like a graph of commits. What it knows of a node is which nodes it reads; these come before it.
 */

/**
 * How a line runs over the columns between its ends: in a lane where no card is, or on a track of a
 * gutter. Gutter g lies above lane g, the last one below all lanes. Null between neighbouring
 * columns.
 * @typedef {{lane: number} | {gutter: number, track: number} | null} Route
 */
/** @typedef {{from: number, to: number, route: Route}} Edge */
/**
 * @typedef {object} Arrangement
 * @property {number[]} column For each node.
 * @property {number[]} lane For each node.
 * @property {number} columns How many.
 * @property {number} lanes How many.
 * @property {number[]} tracks How many each gutter has.
 * @property {Edge[]} edges
 * @property {number[][]} reads The nodes that each reads, each once.
 * @property {(number | null)[]} next The node that continues its lane, or that it ends in.
 * @property {(number | null)[]} previous
 */

/**
 * @param {number[][]} inputs For each node the nodes it reads, all smaller than itself.
 * @returns {Arrangement}
 */
export function arrange(inputs) {
  const reads = inputs.map((each) => [...new Set(each)]);
  /** @type {number[]} */
  const column = [];
  for (const sources of reads)
    column.push(1 + Math.max(-1, ...sources.map((from) => column[from])));
  const heir = heirs(reads, column);
  const previous = reads.map((each, to) =>
    deepest(
      each.filter((from) => heir[from] === to),
      column,
    ),
  );
  const chains = chainsOf(previous, heir, column);
  const taken = new Set();
  const { lane, lanes } = lanesOf(chains, column.length, taken);
  /** @type {Edge[]} */
  const edges = reads.flatMap((each, to) => each.map((from) => ({ from, to, route: null })));
  for (const edge of edges) {
    edge.route = routeOf(
      edge,
      column,
      lane,
      heir[edge.from] === edge.to && isLast(chains, edge.from),
      previous,
      taken,
    );
  }
  const tracks = Array.from({ length: lanes + 1 }, (_, gutter) => layTracks(edges, gutter, column));
  const columns = Math.max(-1, ...column) + 1;
  return {
    column,
    lane,
    columns,
    lanes,
    tracks,
    edges,
    reads,
    next: heir,
    previous: previous.map((from, node) => from ?? deepest(reads[node], column)),
  };
}

const isLast = (chains, node) => chains.some(({ nodes }) => nodes.at(-1) === node);

/**
 * For each node the reader with the longest way to the end: it goes on in its lane, if it has none
 * better.
 */
function heirs(reads, column) {
  const height = new Array(reads.length).fill(0);
  const heir = new Array(reads.length).fill(null);
  for (let node = reads.length - 1; node >= 0; node -= 1) {
    for (const from of reads[node]) {
      height[from] = Math.max(height[from], height[node] + 1);
      if (heir[from] === null || height[node] >= height[heir[from]]) heir[from] = node;
    }
  }
  return column.length === 0 ? [] : heir;
}

/** The node furthest from the input, the first of several. */
const deepest = (nodes, column) =>
  nodes.reduce((best, node) => (best === null || column[node] > column[best] ? node : best), null);

/** Paths that keep to a lane; each reaches to just before the node that it ends in. */
function chainsOf(previous, heir, column) {
  const of = new Map();
  const chains = [];
  for (const [node, from] of previous.entries()) {
    const chain = from === null ? { nodes: [], start: column[node], stop: 0 } : of.get(from);
    if (from === null) chains.push(chain);
    chain.nodes.push(node);
    chain.stop = heir[node] === null ? column[node] : column[heir[node]] - 1;
    of.set(node, chain);
  }
  return chains.sort(
    (one, other) =>
      one.start - other.start || other.stop - one.stop || one.nodes[0] - other.nodes[0],
  );
}

/**
 * The lowest free lane for each chain, in the order of their starts: no more lanes than chains run
 * side by side.
 */
function lanesOf(chains, count, taken) {
  const lane = new Array(count).fill(0);
  const stops = [];
  for (const { nodes, start, stop } of chains) {
    const free = stops.findIndex((end) => end < start);
    const chosen = free < 0 ? stops.length : free;
    stops[chosen] = stop;
    for (const node of nodes) lane[node] = chosen;
    for (let column = start; column <= stop; column += 1) taken.add(`${column} ${chosen}`);
  }
  return { lane, lanes: stops.length };
}

/** @returns {Route} */
function routeOf({ from, to }, column, lane, ends, previous, taken) {
  if (column[to] === column[from] + 1) return null;
  if (ends || previous[to] === from) return { lane: lane[from] };
  const between = Array.from(
    { length: column[to] - column[from] - 1 },
    (_, place) => column[from] + 1 + place,
  );
  for (const candidate of [lane[to], lane[from]]) {
    const cells = between.map((each) => `${each} ${candidate}`);
    if (!cells.some((cell) => taken.has(cell))) {
      for (const cell of cells) taken.add(cell);
      return { lane: candidate };
    }
  }
  return { gutter: lane[to] > lane[from] ? lane[from] + 1 : lane[from], track: 0 };
}

/**
 * Short lines next to the cards, long ones around them; all lines of one source share a track.
 * @returns {number}
 */
function layTracks(edges, gutter, column) {
  const groups = new Map();
  for (const edge of edges.filter(({ route }) => route?.gutter === gutter)) {
    const group = groups.get(edge.from) ?? { edges: [], start: column[edge.from], stop: 0 };
    group.edges.push(edge);
    group.stop = Math.max(group.stop, column[edge.to]);
    groups.set(edge.from, group);
  }
  const laid = [];
  for (const group of [...groups.values()].sort(
    (one, other) => one.stop - one.start - (other.stop - other.start),
  )) {
    const clashing = laid.filter(({ start, stop }) => group.start < stop && start < group.stop);
    const used = new Set(clashing.map(({ track }) => track));
    group.track = [...used, 0].findIndex((_, track) => !used.has(track));
    for (const { route } of group.edges) route.track = group.track;
    laid.push(group);
  }
  return Math.max(-1, ...laid.map(({ track }) => track)) + 1;
}

/**
 * The node that an arrow key leads to: left and right along the path, up and down to the nearest
 * card of another lane.
 * @param {Arrangement} arrangement
 * @param {number} node
 * @param {"left" | "right" | "up" | "down"} direction
 * @returns {number | null}
 */
export function neighbour({ column, lane, next, previous }, node, direction) {
  if (direction === "left") return previous[node];
  if (direction === "right") return next[node];
  const side = direction === "up" ? -1 : 1;
  const far = (other) =>
    Math.abs(column[other] - column[node]) * column.length + side * (lane[other] - lane[node]);
  /** @type {number[]} */
  const candidates = [...lane.keys()].filter((other) => side * (lane[other] - lane[node]) > 0);
  return candidates.reduce(
    (/** @type {number | null} */ best, other) =>
      best === null || far(other) < far(best) ? other : best,
    null,
  );
}

/** All nodes that a node's value comes from, itself included. @returns {Set<number>} */
export function ancestors({ reads }, node) {
  const nodes = new Set();
  const waiting = [node];
  while (waiting.length > 0) {
    const current = waiting.pop();
    if (!nodes.has(current)) {
      nodes.add(current);
      waiting.push(...reads[current]);
    }
  }
  return nodes;
}
