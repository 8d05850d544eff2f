/**
 * The whole network in a thin bar: how many parameters each layer has, how much its units see, what
 * is in view.
 */

import { element, svg } from "../../dom.js";
import { eachFrame } from "../../store.js";

const HEIGHT = 100;
const LEAST = 4;
const SPACE = 0.12;

/**
 * @typedef {object} Network
 * @property {object[]} layers As the API lists them.
 * @property {import("./wiring.js").Box[]} boxes Of the layers, in their order.
 * @property {number[]} column Of the layers, in their order.
 * @property {number} width
 */
export class Minimap {
  #scroller;
  #boxes;
  #width;
  #choose;
  #bars;
  #frame = element("div", { class: "strip-window" });
  node;
  #show = eachFrame(() => {
    const { scrollLeft, scrollWidth, clientWidth } = this.#scroller;
    this.node.hidden = scrollWidth <= clientWidth;
    const scale = this.node.clientWidth / scrollWidth;
    this.#frame.style.width = `${clientWidth * scale}px`;
    this.#frame.style.transform = `translateX(${scrollLeft * scale}px)`;
  });
  #observer = new ResizeObserver(this.#show);

  /**
   * @param {HTMLElement} scroller What it is the overview of.
   * @param {Network} network
   * @param {(index: number) => void} choose
   */
  constructor(scroller, { layers, boxes, column, width }, choose) {
    this.#scroller = scroller;
    this.#boxes = boxes;
    this.#width = width;
    this.#choose = choose;
    this.#bars = barsOf(layers, boxes, column);
    const sight = sightLine(layers, boxes, column);
    const view = { viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: "none" };
    const drawing = svg("svg", view, ...this.#bars, sight);
    this.node = element(
      "div",
      { class: "strip-skyline", "aria-hidden": "true" },
      drawing,
      this.#frame,
    );
    this.node.addEventListener("pointerdown", (event) => {
      this.node.setPointerCapture(event.pointerId);
      this.#goTo(event);
    });
    this.node.addEventListener(
      "pointermove",
      (event) => this.node.hasPointerCapture(event.pointerId) && this.#goTo(event),
    );
    this.node.addEventListener("dblclick", ({ clientX }) => {
      const { left, width: across } = this.node.getBoundingClientRect();
      this.#choose(nearest(this.#boxes, ((clientX - left) / across) * this.#width));
    });
    scroller.addEventListener("scroll", this.#show, { passive: true });
    this.#observer.observe(scroller);
  }

  #goTo({ clientX }) {
    const { left, width: across } = this.node.getBoundingClientRect();
    this.#scroller.scrollLeft =
      ((clientX - left) / across) * this.#scroller.scrollWidth - this.#scroller.clientWidth / 2;
  }

  /** @param {number | null} index */
  choose(index) {
    for (const [place, bar] of this.#bars.entries())
      bar.classList.toggle("chosen", place === index);
  }

  end() {
    this.#observer.disconnect();
    this.#scroller.removeEventListener("scroll", this.#show);
  }
}

function nearest(boxes, x) {
  const far = ({ left, width }) => Math.abs(left + width / 2 - x);
  return boxes.reduce((best, box, index) => (far(box) < far(boxes[best]) ? index : best), 0);
}

/**
 * A bar for each layer, as high as the logarithm of its parameters; those of one column share its
 * width.
 */
function barsOf(layers, boxes, column) {
  const top = Math.max(...layers.map(({ parameters }) => Math.log1p(parameters)), 1);
  const beside = new Map();
  for (const [place, each] of column.entries())
    beside.set(each, [...(beside.get(each) ?? []), place]);
  return layers.map(({ kind, parameters }, place) => {
    const sharing = beside.get(column[place]);
    const across = boxes[place].width / sharing.length;
    const height = Math.max((Math.log1p(parameters) / top) * HEIGHT * 0.9, LEAST);
    const x = boxes[place].left + across * sharing.indexOf(place);
    const inner = across * (1 - SPACE / sharing.length);
    return svg("rect", { x, y: HEIGHT - height, width: inner, height, "data-kind": kind });
  });
}

/**
 * The largest share of the input's sides that a unit of a column sees; at the top it sees
 * everything.
 */
function sightLine(layers, boxes, column) {
  const whole = layers.filter(({ receptive_field: field }) => field.status === "whole_input");
  const full = Math.max(1, ...whole.flatMap(sizes));
  const most = full > 1 ? full : Math.max(1, ...layers.flatMap(sizes));
  const shares = new Map();
  for (const [place, layer] of layers.entries()) {
    const { left, width } = boxes[place];
    const share = Math.min(Math.max(...sizes(layer), 0) / most, 1);
    const before = shares.get(column[place])?.share ?? 0;
    if (share > before) shares.set(column[place], { x: left + width / 2, share });
  }
  const points = [...shares.values()].sort((one, other) => one.x - other.x);
  const line = points.map(({ x, share }) => `${x},${HEIGHT * (0.96 - 0.9 * share)}`).join(" ");
  return svg("polyline", { points: line, class: "strip-sight" });
}

const sizes = ({ receptive_field: { size } }) => size ?? [];
