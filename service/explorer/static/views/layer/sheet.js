/**
 * All maps of a layer in one canvas that scrolls inside a box: only what is in sight is painted.
 */

import { colour, element, isCommand, sharpen } from "../../dom.js";
import { rectangle, unitAt } from "../../figure.js";
import { positionOf } from "../../maps.js";
import { grown, outline } from "../../overlay.js";
import { eachFrame } from "../../store.js";
import { drawBadge, drawFrame, drawPlaceholder } from "./marks.js";
import { boxOf, placeAt, planFor, visible } from "./tiling.js";
import { colourAll, drawTile } from "./tiles.js";

/**
 * @typedef {import("./tiles.js").Contents} Contents
 * @typedef {{channel: number, unit: number[]}} Unit
 * @typedef {{pointed: Unit | null, chosen: Unit | null, lit: [number, number][] | "none" | null}}
 *   Marks `lit`: the units that see the pixel under the pointer.
 */

/** @type {Marks} */
const UNMARKED = { pointed: null, chosen: null, lit: null };

export class MapSheet {
  #onPoint;
  #onChoose;
  #base = element("canvas");
  #over = element("canvas");
  #sight = element("div", { class: "layer-window layers-of-canvas" }, this.#base, this.#over);
  #spacer = element("div");
  element = element(
    "div",
    { class: "layer-sheet", role: "application", tabIndex: 0 },
    this.#sight,
    this.#spacer,
  );
  /** @type {Contents | null} */
  #contents = null;
  #size = [];
  #channels = 0;
  #plan = planFor([], 0, 100);
  /** @type {ReturnType<typeof colourAll> | null} */
  #coloured = null;
  #places = new Map();
  #marks = UNMARKED;
  repaint = eachFrame(() => this.#paint());
  #repaintOver = eachFrame(() => this.#paintOver());
  /** @type {PointerEvent | null} */
  #last = null;

  /**
   * @param {{onPoint: (unit: Unit | null) => void, onChoose: (unit: Unit) => void}} handlers
   */
  constructor({ onPoint, onChoose }) {
    this.#onPoint = onPoint;
    this.#onChoose = onChoose;
    this.element.addEventListener("pointermove", (event) => {
      this.#last = event;
      this.#onPoint(this.#under(event));
    });
    this.element.addEventListener("pointerleave", () => {
      this.#last = null;
      this.#onPoint(null);
    });
    this.element.addEventListener("click", (event) => {
      const unit = this.#under(event);
      if (unit) this.#onChoose(unit);
    });
    this.element.addEventListener(
      "scroll",
      () => {
        this.repaint();
        if (this.#last) this.#onPoint(this.#under(this.#last));
      },
      { passive: true },
    );
    this.element.addEventListener("keydown", (event) => {
      if (!this.#contents || !this.#marks.chosen || isCommand(event)) return;
      const to = this.#moved(event.key, this.#places.get(this.#marks.chosen.channel));
      if (to === null) return;
      event.preventDefault();
      this.#onChoose({ ...this.#marks.chosen, channel: this.#contents.order[to] });
    });
    new ResizeObserver(
      eachFrame(() => {
        this.#arrange();
        this.#paint();
      }),
    ).observe(this.element);
  }

  #inSight() {
    return visible(this.#plan, this.#channels, this.element.scrollTop, this.element.clientHeight);
  }

  #onScreen(place) {
    const box = boxOf(this.#plan, place);
    return { ...box, top: box.top - this.element.scrollTop };
  }

  #arrange() {
    this.#plan = planFor(this.#size, this.#channels, Math.max(this.element.clientWidth, 100));
    this.#spacer.style.height = `${this.#plan.total}px`;
    this.element.dataset.columns = String(this.#plan.columns);
  }

  #paint() {
    const context = sharpen(this.#base, this.element.clientWidth, this.element.clientHeight);
    const [first, last] = this.#inSight();
    for (let place = first; place < last; place += 1) {
      if (this.#contents)
        drawTile(
          context,
          this.#plan,
          this.#contents,
          this.#coloured,
          this.#contents.order[place],
          this.#onScreen(place),
        );
      else drawPlaceholder(context, this.#onScreen(place));
    }
    this.#paintOver();
  }

  #paintOver() {
    const context = sharpen(this.#over, this.element.clientWidth, this.element.clientHeight);
    if (!this.#contents) return;
    if (this.#marks.lit) this.#light(context);
    const { pointed, chosen } = this.#marks;
    const shown = pointed ?? chosen;
    if (pointed) drawFrame(context, this.#onScreen(this.#places.get(pointed.channel)), "--soft", 2);
    if (chosen) drawFrame(context, this.#onScreen(this.#places.get(chosen.channel)), "--accent", 3);
    if (shown && this.#plan.kind === "lines") this.#indexLines(context, shown);
    if (shown && this.#plan.kind === "pixels") this.#unitMark(context, shown);
    if (pointed) this.#drawBadge(context, pointed.channel);
  }

  #drawBadge(context, channel) {
    if (!this.#contents) return;
    const tile = this.#onScreen(this.#places.get(channel));
    drawBadge(context, tile, this.#contents.maps.numbers[channel], this.element.clientWidth);
  }

  #light(context) {
    const { lit } = this.#marks;
    if (!this.#contents || lit === null) return;
    const [first, last] = this.#inSight();
    context.fillStyle = colour("--shade");
    context.beginPath();
    for (let place = first; place < last; place += 1) {
      const tile = this.#onScreen(place);
      context.rect(tile.left, tile.top, tile.width, tile.height);
      const hole = lit === "none" ? null : rectangle(lit, this.#size, tile, this.#contents);
      if (hole) context.rect(hole.left, hole.top, hole.width, hole.height);
    }
    context.fill("evenodd");
  }

  #indexLines(context, { channel, unit }) {
    const [first, last] = this.#inSight();
    for (let place = first; place < last; place += 1) {
      const at = rectangle([[unit[0], unit[0] + 1]], this.#size, this.#onScreen(place));
      if (!this.#contents || !at) continue;
      context.fillStyle = colour(this.#contents.order[place] === channel ? "--red" : "--line");
      context.fillRect(at.left + at.width / 2 - 0.75, at.top, 1.5, at.height);
    }
  }

  #unitMark(context, { channel, unit }) {
    if (!this.#contents) return;
    const tile = this.#onScreen(this.#places.get(channel));
    const mark = rectangle(
      unit.map((index) => [index, index + 1]),
      this.#size,
      tile,
      this.#contents,
    );
    if (mark) outline(context, grown(mark, Math.max(0, (5 - mark.width) / 2)));
  }

  /** @returns {Unit | null} What lies under the pointer. */
  #under({ clientX, clientY }) {
    if (!this.#contents) return null;
    const { left, top } = this.#sight.getBoundingClientRect();
    const place = placeAt(
      this.#plan,
      this.#channels,
      clientX - left,
      clientY - top + this.element.scrollTop,
    );
    if (place === null) return null;
    const tile = boxOf(this.#plan, place);
    const point = { x: clientX - left, y: clientY - top + this.element.scrollTop };
    const several = this.#plan.kind === "pixels" || this.#plan.kind === "lines";
    const unit = several
      ? unitAt(point, this.#size, tile, this.#contents)
      : positionOf(0, this.#size);
    return unit && { channel: this.#contents.order[place], unit };
  }

  #moved(key, place) {
    const row = this.#plan.columns;
    const page =
      Math.max(1, Math.floor(this.element.clientHeight / (this.#plan.height + this.#plan.gap))) *
      row;
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -row,
      ArrowDown: row,
      PageUp: -page,
      PageDown: page,
    };
    if (key === "Home") return 0;
    if (key === "End") return this.#channels - 1;
    return key in steps ? Math.min(Math.max(place + steps[key], 0), this.#channels - 1) : null;
  }

  #reveal(channel) {
    const { top, height } = boxOf(this.#plan, this.#places.get(channel));
    if (top < this.element.scrollTop) this.element.scrollTop = Math.max(top - 2, 0);
    else if (top + height > this.element.scrollTop + this.element.clientHeight)
      this.element.scrollTop = top + height + 2 - this.element.clientHeight;
  }

  /** Show these maps; or, with null, where so many maps of this size will be. */
  show(now, sizeNow, channelsNow) {
    if (now !== null && now === this.#contents) return;
    const other = sizeNow.join() !== this.#size.join() || channelsNow !== this.#channels;
    [this.#contents, this.#size, this.#channels] = [now, sizeNow, channelsNow];
    this.#places = new Map(now?.order.map((channel, place) => [channel, place]));
    if (other) {
      // The marks are those of maps of another shape, until `mark` says them anew.
      this.#marks = UNMARKED;
      this.#arrange();
      this.element.scrollTop = 0;
    }
    const begin = performance.now();
    this.#coloured = now && this.#plan.kind === "pixels" ? colourAll(now) : null;
    this.#paint();
    this.element.dataset.painted = (performance.now() - begin).toFixed(1);
  }

  /** @param {Marks} now */
  mark(now) {
    const other =
      now.chosen &&
      this.#places.has(now.chosen.channel) &&
      now.chosen.channel !== this.#marks.chosen?.channel;
    this.#marks = now;
    if (now.chosen && other) this.#reveal(now.chosen.channel);
    this.#repaintOver();
  }

  toTop() {
    return (this.element.scrollTop = 0);
  }

  /** The whole sheet as a picture, as it is shown. */
  picture() {
    const canvas = new OffscreenCanvas(
      this.#plan.columns * (this.#plan.width + this.#plan.gap) - this.#plan.gap,
      Math.max(this.#plan.total, 1),
    );
    const context = canvas.getContext("2d");
    context.fillStyle = colour("--panel");
    context.fillRect(0, 0, canvas.width, canvas.height);
    const [contents, coloured] = [this.#contents, this.#coloured];
    contents?.order.forEach((channel, place) => {
      drawTile(context, this.#plan, contents, coloured, channel, boxOf(this.#plan, place));
    });
    return canvas.convertToBlob({ type: "image/png" });
  }
}
