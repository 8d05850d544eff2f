/** The cards of a network and the lines between them, laid out on a board. */

import { layerCard } from "./card.js";
import { element, svg } from "../../dom.js";
import { inputCard, networkInput, outputCard } from "./input_output.js";
import { strongestOf } from "./thumbnails.js";
import { ancestors, arrange, neighbour } from "./graph.js";
import { lay } from "./wiring.js";

/** Room around the cards. */
export const MARGIN = 14;
const GAP = 30;
const WIDE_GAP = 46;
const BETWEEN = 18;
/** Sizes in pixels; low cards where many lanes run side by side. */
const CARD = { width: 154, height: 252, figure: [138, 138] };
const LOW = { width: 154, height: 118, figure: [138, 32] };
const SMALL = { width: 100, height: 135, figure: [84, 84] };
const SMALL_LOW = { width: 100, height: 72, figure: [84, 19] };
const END = { width: 116, height: 156, figure: [100, 100] };
const END_LOW = { width: 116, height: 116, figure: [100, 72] };
const LOW_FROM = 3;
const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

/** The network as a graph: the input, the layers, and the output if there is one end only. */
function graphOf(layers) {
  const places = new Map(layers.map(({ name }, index) => [name, index + 1]));
  const reads = ({ inputs }) =>
    inputs.length === 0 ? [0] : inputs.map((name) => places.get(name));
  const inputs = layers.map(reads);
  const read = new Set(inputs.flat());
  const ends = layers.map((_, index) => index + 1).filter((place) => !read.has(place));
  return [[], ...inputs, ...(ends.length === 1 ? [ends] : [])];
}

export class Board {
  layers;
  #arrangement;
  #low;
  #sizes;
  width;
  cards;
  output = outputCard();
  #lines;
  #wires;
  node;
  boxes;
  column;
  thumbnails;

  /**
   * The input's and the output's cards stand at the ends; the layers between them are the options
   * of a list.
   * @param {object[]} layers As the API lists them.
   */
  constructor(layers) {
    this.layers = layers;
    this.#arrangement = arrange(graphOf(layers));
    this.#low = this.#arrangement.lanes >= LOW_FROM;
    this.#sizes = this.#arrangement.column.map((_, place) =>
      sizeOf(this.layers[place - 1], this.#low),
    );
    const { boxes, paths, width, height } = lay(this.#arrangement, this.#sizes, {
      gap: this.#low ? WIDE_GAP : GAP,
      between: BETWEEN,
    });
    this.width = width;
    const made = layers.map((layer) =>
      layerCard(layer, channelsInto(layer, this.layers), this.#low),
    );
    this.cards = made.map(({ card }) => card);
    const input = inputCard();
    const all = [input.card, ...this.cards, this.output].slice(0, boxes.length);
    for (const [place, box] of boxes.entries()) put(all[place], box);
    this.#lines = paths.map((d) => svg("path", { d }));
    this.#wires = svg(
      "svg",
      { width: this.width, height, class: "strip-wires", "aria-hidden": "true" },
      ...this.#lines,
    );
    const list = element(
      "div",
      { role: "listbox", "aria-label": "Layers, from input to output" },
      ...this.cards,
    );
    list.setAttribute("aria-orientation", "horizontal");
    this.node = element(
      "div",
      { class: "strip-board" },
      this.#wires,
      input.card,
      list,
      ...all.slice(layers.length + 1),
    );
    this.node.style.width = `${this.width + 2 * MARGIN}px`;
    this.node.style.height = `${height + 2 * MARGIN}px`;
    this.boxes = boxes.slice(1, layers.length + 1);
    this.column = this.#arrangement.column.slice(1, layers.length + 1);
    this.thumbnails = [input, ...made].map(({ figure, canvas }, place) => {
      const [across, down] = this.#sizes[place].figure;
      figure.style.height = `${down}px`;
      const fetching = place === 0 ? networkInput : strongestOf(this.layers[place - 1]);
      return { figure, canvas, size: { width: across, height: down }, fetching };
    });
  }

  /** Show where a layer's value comes from. */
  emphasise(index) {
    const into = index === null ? new Set() : ancestors(this.#arrangement, index + 1);
    for (const [place, { to }] of this.#arrangement.edges.entries())
      this.#lines[place].classList.toggle("into", into.has(to));
    // What is emphasised lies above what crosses it.
    this.#wires.append(...this.#lines.filter((line) => line.classList.contains("into")));
  }

  /** Where a key leads; null for nowhere, undefined if it is not for the strip. */
  step(from, key) {
    const last = this.layers.length - 1;
    const along = {
      Home: 0,
      End: last,
      PageUp: Math.max(from - 1, 0),
      PageDown: Math.min(from + 1, last),
    };
    const ways = { ...along, Enter: from, " ": from };
    if (key in ways) return ways[key];
    if (!(key in KEYS)) return undefined;
    const place = neighbour(this.#arrangement, from + 1, KEYS[key]);
    return place === null || place === 0 || place > this.layers.length ? null : place - 1;
  }
}

function channelsInto({ inputs }, layers) {
  const read = layers.find(({ name }) => name === inputs[0]);
  return read ? read.output_shape[read.channel_axis] : null;
}

function sizeOf(layer, low) {
  if (layer === undefined) return low ? END_LOW : END;
  if (layer.kind === "merge") return low ? SMALL_LOW : SMALL;
  return low ? LOW : CARD;
}

function put(card, { left, top, width, height }) {
  card.style.left = `${left}px`;
  card.style.top = `${top}px`;
  card.style.width = `${width}px`;
  card.style.height = `${height}px`;
}
