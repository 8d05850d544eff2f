/**
 * A signal: its channels as lines, few in one plot, many below each other; a red band marks what a
 * unit sees.
 */

import { colour, element, sharpen } from "../../dom.js";
import { dim, outline } from "../../overlay.js";

const TOGETHER = 4;
const MOST = 16;
const MARGIN = 0.1;
const AXIS = 22;
const TICKS = [1, 2, 5];
const INKS = ["--accent", "--good", "--ink", "--soft"];

/** Round numbers from 0 to below `length`, about one for `room` CSS pixels. */
export function ticks(length, width, room = 56) {
  const least = (length * room) / width;
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  const step = Math.max(
    1,
    TICKS.map((each) => each * power).find((each) => each >= least) ?? 10 * power,
  );
  return Array.from({ length: Math.ceil(length / step) }, (_, index) => index * step);
}

/**
 * Where the plots lie on the canvas, in CSS pixels; `each` is the height of one.
 * @typedef {object} Place
 * @property {number} width
 * @property {number} height
 * @property {number} left
 * @property {number} top
 * @property {number} scale Of a sample.
 * @property {number} plots
 * @property {number} each
 * @property {number} shown How many channels.
 */

/** A plot with the same methods as a plane: `show`, `mark`, `pixelAt`, `describe`. */
export class SignalPlot {
  #base;
  target;
  root;
  /** @type {import("../../maps.js").Maps} */
  #maps;
  /** @type {import("./plane.js").Mark | null} */
  #mark = null;
  /** @type {Place} */
  #place;

  constructor({ label }) {
    this.#base = element("canvas", { role: "img", "aria-label": label });
    this.target = element("canvas", { role: "application", tabIndex: 0, "aria-label": label });
    this.root = element(
      "div",
      { class: "layers-of-canvas picture-plane" },
      this.#base,
      this.target,
    );
  }

  #layOut(width) {
    const shown = Math.min(this.#maps.channels, MOST);
    const plots = this.#maps.channels > TOGETHER ? shown : 1;
    const each = plots > 1 ? 40 : 150;
    const margin = Math.round(width * MARGIN);
    const scale = (width - 2 * margin) / this.#maps.length;
    this.#place = {
      width,
      height: plots * each + AXIS + 16,
      left: margin,
      top: 8,
      scale,
      plots,
      each,
      shown,
    };
    this.target.dataset.place = JSON.stringify([margin, this.#place.top, scale]);
  }

  #band([start, stop]) {
    return {
      left: this.#place.left + start * this.#place.scale,
      top: this.#place.top,
      width: (stop - start) * this.#place.scale,
      height: this.#place.plots * this.#place.each,
    };
  }

  #paintBase() {
    const context = sharpen(this.#base, this.#place.width, this.#place.height);
    const area = this.#band([0, this.#maps.length]);
    context.fillStyle = colour("--panel");
    context.fillRect(area.left, area.top, area.width, area.height);
    for (let plot = 0; plot < this.#place.plots; plot += 1) {
      const top = area.top + plot * this.#place.each;
      const channels =
        this.#place.plots > 1
          ? [plot]
          : Array.from({ length: this.#place.shown }, (_, channel) => channel);
      this.#drawLines(context, channels, { ...area, top, height: this.#place.each });
    }
    this.#drawTicks(context, area);
  }

  #drawLines(context, channels, area) {
    const ranges = channels.map((channel) => this.#maps.range(channel));
    const low = Math.min(0, ...ranges.map((range) => range[0]));
    const high = Math.max(0, ...ranges.map((range) => range[1]));
    const y = (value) => area.top + 4 + (area.height - 8) * (1 - (value - low) / (high - low || 1));
    context.lineWidth = 1;
    context.strokeStyle = colour("--line");
    context.strokeRect(area.left - 0.5, area.top - 0.5, area.width + 1, area.height + 1);
    stroke(context, [
      [area.left, y(0)],
      [area.left + area.width, y(0)],
    ]);
    drawEnds(context, area, low, high);
    context.lineWidth = channels.length > 1 ? 1.5 : 1.75;
    context.lineJoin = "round";
    channels.forEach((channel, index) => {
      context.strokeStyle = colour(INKS[index]);
      const values = this.#maps.map(channel);
      stroke(
        context,
        Array.from(values, (value, sample) => [
          this.#place.left + (sample + 0.5) * this.#place.scale,
          y(value),
        ]),
      );
      if (this.#maps.channels > 1) name(context, channel, index, area);
    });
  }

  #drawTicks(context, area) {
    const bottom = area.top + area.height;
    context.fillStyle = colour("--soft");
    context.strokeStyle = colour("--line");
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "center";
    for (const tick of ticks(this.#maps.length, area.width)) {
      const x = this.#place.left + (tick + 0.5) * this.#place.scale;
      stroke(context, [
        [x, bottom],
        [x, bottom + 4],
      ]);
      context.fillText(String(tick), x, bottom + 16);
    }
  }

  #paintOver() {
    const context = sharpen(this.target, this.#place.width, this.#place.height);
    if (!this.#mark) return;
    const area = this.#band([0, this.#maps.length]);
    const { solid, whole, pixel } = this.#mark;
    if (whole) {
      const hole = solid && this.#band(solid[0]);
      dim(context, area, hole);
      const beyond = !solid || whole[0][0] < solid[0][0] || whole[0][1] > solid[0][1];
      if (beyond) outline(context, this.#band(whole[0]), { dashed: true });
      if (hole) outline(context, hole);
    }
    if (pixel) this.#cursor(context, area, pixel[0]);
  }

  #cursor(context, area, sample) {
    const x = this.#place.left + (sample + 0.5) * this.#place.scale;
    context.strokeStyle = colour("--ink");
    context.lineWidth = 1.25;
    stroke(context, [
      [x, area.top],
      [x, area.top + area.height],
    ]);
  }

  /** @param {import("../../maps.js").Maps} shown */
  show(shown, across) {
    this.#maps = shown;
    this.#layOut(across);
    this.#paintBase();
    this.#paintOver();
  }

  mark(marked) {
    this.#mark = marked;
    if (this.#maps) this.#paintOver();
  }

  describe(text) {
    return this.target.setAttribute("aria-label", text);
  }

  pixelAt(event) {
    if (!this.#maps) return null;
    const sample = Math.floor(
      (event.clientX - this.target.getBoundingClientRect().left - this.#place.left) /
        this.#place.scale,
    );
    return sample >= 0 && sample < this.#maps.length ? [sample] : null;
  }

  /** How many channels are not shown. */
  left() {
    return (this.#maps?.channels ?? 0) - (this.#place?.shown ?? 0);
  }
}

/** The least and the largest value, beside the plot. */
function drawEnds(context, area, low, high) {
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "left";
  context.fillStyle = colour("--soft");
  [
    [high, 10],
    [low, area.height - 2],
  ].forEach(([value, down]) => {
    context.fillText(
      String(Number(value.toPrecision(2))),
      area.left + area.width + 5,
      area.top + down,
    );
  });
}

/** A channel's number, in the margin, in the colour of its line. */
function name(context, channel, index, area) {
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "right";
  context.fillStyle = context.strokeStyle;
  context.fillText(String(channel), area.left - 6, area.top + 14 + index * 16);
}

function stroke(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}
