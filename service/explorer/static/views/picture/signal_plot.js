/** A signal: its channels as lines, few in one plot, many below each other; a red band marks what a unit sees. */

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

/** A plot with the same methods as a plane: `show`, `mark`, `pixelAt`, `describe`. */
export function createSignalPlot({ label }) {
  const base = element("canvas", { role: "img", "aria-label": label });
  const over = element("canvas", { role: "application", tabIndex: 0, "aria-label": label });
  const root = element("div", { class: "layers-of-canvas picture-plane" }, base, over);
  let maps = null;
  let mark = null;
  let place = null;

  function layOut(width) {
    const shown = Math.min(maps.channels, MOST);
    const plots = maps.channels > TOGETHER ? shown : 1;
    const each = plots > 1 ? 40 : 150;
    const margin = Math.round(width * MARGIN);
    const scale = (width - 2 * margin) / maps.length;
    place = {
      width,
      height: plots * each + AXIS + 16,
      left: margin,
      top: 8,
      scale,
      plots,
      each,
      shown,
    };
    over.dataset.place = JSON.stringify([margin, place.top, scale]);
  }

  const band = ([start, stop]) => ({
    left: place.left + start * place.scale,
    top: place.top,
    width: (stop - start) * place.scale,
    height: place.plots * place.each,
  });

  function paintBase() {
    const context = sharpen(base, place.width, place.height);
    const area = band([0, maps.length]);
    context.fillStyle = colour("--panel");
    context.fillRect(area.left, area.top, area.width, area.height);
    for (let plot = 0; plot < place.plots; plot += 1) {
      const top = area.top + plot * place.each;
      const channels =
        place.plots > 1 ? [plot] : Array.from({ length: place.shown }, (_, channel) => channel);
      drawLines(context, channels, { ...area, top, height: place.each });
    }
    drawTicks(context, area);
  }

  function drawLines(context, channels, area) {
    const ranges = channels.map((channel) => maps.range(channel));
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
      const values = maps.map(channel);
      stroke(
        context,
        Array.from(values, (value, sample) => [
          place.left + (sample + 0.5) * place.scale,
          y(value),
        ]),
      );
      if (maps.channels > 1) name(context, channel, index, area);
    });
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

  function drawTicks(context, area) {
    const bottom = area.top + area.height;
    context.fillStyle = colour("--soft");
    context.strokeStyle = colour("--line");
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "center";
    for (const tick of ticks(maps.length, area.width)) {
      const x = place.left + (tick + 0.5) * place.scale;
      stroke(context, [
        [x, bottom],
        [x, bottom + 4],
      ]);
      context.fillText(String(tick), x, bottom + 16);
    }
  }

  function paintOver() {
    const context = sharpen(over, place.width, place.height);
    if (!mark) return;
    const area = band([0, maps.length]);
    const { solid, whole, pixel } = mark;
    if (whole) {
      const hole = solid && band(solid[0]);
      dim(context, area, hole);
      const beyond = !solid || whole[0][0] < solid[0][0] || whole[0][1] > solid[0][1];
      if (beyond) outline(context, band(whole[0]), { dashed: true });
      if (hole) outline(context, hole);
    }
    if (pixel) cursor(context, area, pixel[0]);
  }

  function cursor(context, area, sample) {
    const x = place.left + (sample + 0.5) * place.scale;
    context.strokeStyle = colour("--ink");
    context.lineWidth = 1.25;
    stroke(context, [
      [x, area.top],
      [x, area.top + area.height],
    ]);
  }

  return {
    root,
    target: over,

    /** @param {import("../../maps.js").Maps} shown */
    show(shown, across) {
      maps = shown;
      layOut(across);
      paintBase();
      paintOver();
    },

    mark(marked) {
      mark = marked;
      if (maps) paintOver();
    },

    describe: (text) => over.setAttribute("aria-label", text),

    pixelAt(event) {
      if (!maps) return null;
      const sample = Math.floor(
        (event.clientX - over.getBoundingClientRect().left - place.left) / place.scale,
      );
      return sample >= 0 && sample < maps.length ? [sample] : null;
    },

    /** How many channels are not shown. */
    left: () => (maps?.channels ?? 0) - (place?.shown ?? 0),
  };
}

function stroke(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}
