/** A sheet to draw on with mouse, pen or finger. */

import { element } from "../../dom.js";
import { eachFrame } from "../../store.js";

// The picture that is posted; places on it are parts of its side, whatever size it is shown in.
const SIDE = 448;
const BLACK = "#000000";
const WHITE = "#ffffff";

/** @typedef {[number, number]} Place Across and down, 0 to 1. */

export class Pad {
  #changed;
  canvas = element("canvas", { width: SIDE, height: SIDE, class: "give-pad", role: "img" });
  #context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
  /** @type {Place[][]} */
  #strokes = [];
  #width = 0.05;
  #dark = false;
  /** @type {number | null} */
  #pen = null;
  /** @type {DOMRect} */
  #sheet;
  #soon = eachFrame(() => this.#repaint());

  /**
   * @param {(drawing: boolean) => void} changed Called after every change; `drawing` while the pen
   *   is down.
   */
  constructor(changed) {
    this.#changed = changed;
    this.canvas.addEventListener("pointerdown", (event) => {
      if (this.#pen !== null || event.button !== 0) return;
      event.preventDefault();
      this.canvas.setPointerCapture(event.pointerId);
      this.#pen = event.pointerId;
      this.#sheet = this.canvas.getBoundingClientRect();
      this.#strokes.push([this.#placeOf(event)]);
      this.#repaint();
      this.#changed(true);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.#pen) return;
      const passed = event.getCoalescedEvents?.() ?? [];
      const events = passed.length > 0 ? passed : [event];
      this.#strokes.at(-1).push(...events.map((each) => this.#placeOf(each)));
      this.#soon();
      this.#changed(true);
    });
    // A stroke that the browser takes away, for a gesture of its own, ends there.
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
      this.canvas.addEventListener(end, (event) => {
        if (event.pointerId !== this.#pen) return;
        this.#pen = null;
        this.#changed(false);
      });
    }
    this.#repaint();
  }

  #repaint() {
    this.#context.fillStyle = this.#dark ? BLACK : WHITE;
    this.#context.fillRect(0, 0, SIDE, SIDE);
    this.#context.lineCap = this.#context.lineJoin = "round";
    this.#context.lineWidth = this.#width * SIDE;
    this.#context.strokeStyle = this.#dark ? WHITE : BLACK;
    this.#strokes.forEach((stroke) => this.#trace(stroke));
    this.canvas.dataset.strokes = String(this.#strokes.length);
    this.canvas.setAttribute("aria-label", `Drawing pad, ${strokesInWords(this.#strokes.length)}`);
  }

  /** A curve through the middles between the points. @param {Place[]} stroke */
  #trace(stroke) {
    /** @type {Place[]} */
    const points = stroke.map(([x, y]) => [x * SIDE, y * SIDE]);
    const [last] = points.slice(-1);
    this.#context.beginPath();
    this.#context.moveTo(...points[0]);
    for (let index = 1; index < points.length; index += 1) {
      const [from, to] = [points[index - 1], points[index]];
      this.#context.quadraticCurveTo(...from, (from[0] + to[0]) / 2, (from[1] + to[1]) / 2);
    }
    // Not quite where it is: a line without length need not be painted, and a dot is one.
    this.#context.lineTo(last[0] + 0.01, last[1]);
    this.#context.stroke();
  }

  /** @returns {Place} */
  #placeOf(event) {
    return [
      (event.clientX - this.#sheet.left) / this.#sheet.width,
      (event.clientY - this.#sheet.top) / this.#sheet.height,
    ];
  }

  get empty() {
    return this.#strokes.length === 0;
  }

  undo() {
    this.#strokes.pop();
    this.#repaint();
    this.#changed(false);
  }

  clear() {
    this.#strokes = [];
    this.#repaint();
    this.#changed(false);
  }

  /**
   * Choose the width of the pen as a part of the side, and whether the paper is dark; what is drawn
   * follows.
   */
  style(chosen) {
    if (chosen.width === this.#width && chosen.dark === this.#dark) return;
    ({ width: this.#width, dark: this.#dark } = chosen);
    this.#repaint();
  }

  /** What is drawn, as a PNG. @returns {Promise<Blob>} */
  picture() {
    this.#repaint();
    return new Promise((done) => this.canvas.toBlob(done, "image/png"));
  }
}

const strokesInWords = (strokes) =>
  strokes === 0 ? "empty" : strokes === 1 ? "1 stroke" : `${strokes} strokes`;
