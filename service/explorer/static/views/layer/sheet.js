/** All maps of a layer in one canvas that scrolls inside a box: only what is in sight is painted. */

import { colour, element, sharpen } from "../../dom.js";
import { rectangle, unitAt } from "../../figure.js";
import { positionOf } from "../../maps.js";
import { grown, outline } from "../../overlay.js";
import { eachFrame } from "../../store.js";
import { boxOf, placeAt, planFor, visible } from "./tiling.js";
import { colourAll, drawTile } from "./tiles.js";

/**
 * @typedef {import("./tiles.js").Contents} Contents
 * @typedef {{channel: number, unit: number[]}} Unit
 * @typedef {{pointed: Unit | null, chosen: Unit | null, lit: [number, number][] | "none" | null}} Marks `lit`: the
 * units that see the pixel under the pointer.
 */

/** @type {Marks} */
const UNMARKED = { pointed: null, chosen: null, lit: null };

/**
 * @param {{onPoint: (unit: Unit | null) => void, onChoose: (unit: Unit) => void}} handlers
 */
export function createSheet({ onPoint, onChoose }) {
  const base = element("canvas");
  const over = element("canvas");
  const sight = element("div", { class: "layer-window layers-of-canvas" }, base, over);
  const spacer = element("div");
  const box = element(
    "div",
    { class: "layer-sheet", role: "application", tabIndex: 0 },
    sight,
    spacer,
  );

  /** @type {Contents | null} */
  let contents = null;
  let [size, channels] = [[], 0];
  let plan = planFor([], 0, 100);
  let coloured = null;
  let places = new Map();
  let marks = UNMARKED;

  const inSight = () => visible(plan, channels, box.scrollTop, box.clientHeight);
  const onScreen = (place) => {
    const found = boxOf(plan, place);
    return { ...found, top: found.top - box.scrollTop };
  };

  function arrange() {
    plan = planFor(size, channels, Math.max(box.clientWidth, 100));
    spacer.style.height = `${plan.total}px`;
    box.dataset.columns = String(plan.columns);
  }

  function paint() {
    const context = sharpen(base, box.clientWidth, box.clientHeight);
    const [first, last] = inSight();
    for (let place = first; place < last; place += 1) {
      if (contents)
        drawTile(context, plan, contents, coloured, contents.order[place], onScreen(place));
      else waiting(context, onScreen(place));
    }
    paintOver();
  }

  /** Where a map will be: nothing jumps when it is there. */
  function waiting(context, tile) {
    context.fillStyle = colour("--sunk");
    context.fillRect(tile.left, tile.top, tile.width, tile.height);
  }

  function paintOver() {
    const context = sharpen(over, box.clientWidth, box.clientHeight);
    if (!contents) return;
    if (marks.lit) light(context);
    const { pointed, chosen } = marks;
    const shown = pointed ?? chosen;
    if (pointed) frame(context, onScreen(places.get(pointed.channel)), "--soft", 2);
    if (chosen) frame(context, onScreen(places.get(chosen.channel)), "--accent", 3);
    if (shown && plan.kind === "lines") indexLines(context, shown);
    if (shown && plan.kind === "pixels") unitMark(context, shown);
    if (pointed)
      badge(context, onScreen(places.get(pointed.channel)), contents.maps.numbers[pointed.channel]);
  }

  function light(context) {
    const [first, last] = inSight();
    context.fillStyle = colour("--shade");
    context.beginPath();
    for (let place = first; place < last; place += 1) {
      const tile = onScreen(place);
      context.rect(tile.left, tile.top, tile.width, tile.height);
      const hole = marks.lit === "none" ? null : rectangle(marks.lit, size, tile, contents);
      if (hole) context.rect(hole.left, hole.top, hole.width, hole.height);
    }
    context.fill("evenodd");
  }

  function frame(context, tile, name, width) {
    const { left, top, width: across, height } = grown(tile, width / 2);
    context.lineWidth = width;
    context.strokeStyle = colour(name);
    context.strokeRect(left, top, across, height);
  }

  function indexLines(context, { channel, unit }) {
    const [first, last] = inSight();
    for (let place = first; place < last; place += 1) {
      const at = rectangle([[unit[0], unit[0] + 1]], size, onScreen(place));
      context.fillStyle = colour(contents.order[place] === channel ? "--red" : "--line");
      context.fillRect(at.left + at.width / 2 - 0.75, at.top, 1.5, at.height);
    }
  }

  function unitMark(context, { channel, unit }) {
    const tile = onScreen(places.get(channel));
    const mark = rectangle(
      unit.map((index) => [index, index + 1]),
      size,
      tile,
      contents,
    );
    if (mark) outline(context, grown(mark, Math.max(0, (5 - mark.width) / 2)));
  }

  function badge(context, tile, number) {
    const text = String(number);
    context.font = "600 11px system-ui, sans-serif";
    context.textAlign = "left";
    context.textBaseline = "middle";
    const width = context.measureText(text).width + 8;
    const top = tile.top >= 17 ? tile.top - 17 : tile.top + tile.height + 1;
    const left = Math.min(tile.left, box.clientWidth - width);
    context.fillStyle = colour("--ink");
    context.fillRect(left, top, width, 16);
    context.fillStyle = colour("--back");
    context.fillText(text, left + 4, top + 8.5);
  }

  const repaint = eachFrame(paint);
  const repaintOver = eachFrame(paintOver);

  /** @returns {Unit | null} What lies under the pointer. */
  function under({ clientX, clientY }) {
    if (!contents) return null;
    const { left, top } = sight.getBoundingClientRect();
    const place = placeAt(plan, channels, clientX - left, clientY - top + box.scrollTop);
    if (place === null) return null;
    const tile = boxOf(plan, place);
    const point = { x: clientX - left, y: clientY - top + box.scrollTop };
    const several = plan.kind === "pixels" || plan.kind === "lines";
    const unit = several ? unitAt(point, size, tile, contents) : positionOf(0, size);
    return unit && { channel: contents.order[place], unit };
  }

  let last = null;
  box.addEventListener("pointermove", (event) => {
    last = event;
    onPoint(under(event));
  });
  box.addEventListener("pointerleave", () => {
    last = null;
    onPoint(null);
  });
  box.addEventListener("click", (event) => {
    const found = under(event);
    if (found) onChoose(found);
  });
  box.addEventListener(
    "scroll",
    () => {
      repaint();
      if (last) onPoint(under(last));
    },
    { passive: true },
  );
  box.addEventListener("keydown", (event) => {
    if (!contents || !marks.chosen || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = moved(event.key, places.get(marks.chosen.channel));
    if (to === null) return;
    event.preventDefault();
    onChoose({ ...marks.chosen, channel: contents.order[to] });
  });

  function moved(key, place) {
    const row = plan.columns;
    const page = Math.max(1, Math.floor(box.clientHeight / (plan.height + plan.gap))) * row;
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -row,
      ArrowDown: row,
      PageUp: -page,
      PageDown: page,
    };
    if (key === "Home") return 0;
    if (key === "End") return channels - 1;
    return key in steps ? Math.min(Math.max(place + steps[key], 0), channels - 1) : null;
  }

  function reveal(channel) {
    const { top, height } = boxOf(plan, places.get(channel));
    if (top < box.scrollTop) box.scrollTop = Math.max(top - 2, 0);
    else if (top + height > box.scrollTop + box.clientHeight)
      box.scrollTop = top + height + 2 - box.clientHeight;
  }

  new ResizeObserver(
    eachFrame(() => {
      arrange();
      paint();
    }),
  ).observe(box);

  return {
    element: box,

    /** Show these maps; or, with null, where so many maps of this size will be. */
    show(now, sizeNow, channelsNow) {
      if (now !== null && now === contents) return;
      const other = sizeNow.join() !== size.join() || channelsNow !== channels;
      [contents, size, channels] = [now, sizeNow, channelsNow];
      places = new Map(now?.order.map((channel, place) => [channel, place]));
      if (other) {
        // The marks are those of maps of another shape, until `mark` says them anew.
        marks = UNMARKED;
        arrange();
        box.scrollTop = 0;
      }
      const begin = performance.now();
      coloured = now && plan.kind === "pixels" ? colourAll(now) : null;
      paint();
      box.dataset.painted = (performance.now() - begin).toFixed(1);
    },

    /** @param {Marks} now */
    mark(now) {
      const other =
        now.chosen &&
        places.has(now.chosen.channel) &&
        now.chosen.channel !== marks.chosen?.channel;
      marks = now;
      if (other) reveal(now.chosen.channel);
      repaintOver();
    },

    repaint,

    toTop: () => (box.scrollTop = 0),

    /** The whole sheet as a picture, as it is shown. */
    picture() {
      const canvas = new OffscreenCanvas(
        plan.columns * (plan.width + plan.gap) - plan.gap,
        Math.max(plan.total, 1),
      );
      const context = canvas.getContext("2d");
      context.fillStyle = colour("--panel");
      context.fillRect(0, 0, canvas.width, canvas.height);
      contents?.order.forEach((channel, place) => {
        drawTile(context, plan, contents, coloured, channel, boxOf(plan, place));
      });
      return canvas.convertToBlob({ type: "image/png" });
    },
  };
}
