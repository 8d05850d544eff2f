/** A sheet to draw on with mouse, pen or finger. */

import { element } from "../../dom.js";
import { eachFrame } from "../../store.js";

// The picture that is posted; places on it are parts of its side, whatever size it is shown in.
const SIDE = 448;
const BLACK = "#000000";
const WHITE = "#ffffff";

/** @typedef {[number, number]} Place Across and down, 0 to 1. */

/**
 * @param {(drawing: boolean) => void} changed Called after every change; `drawing` while the pen is down.
 */
export function createPad(changed) {
  const canvas = element("canvas", { width: SIDE, height: SIDE, class: "give-pad", role: "img" });
  const context = canvas.getContext("2d");
  /** @type {Place[][]} */
  let strokes = [];
  let width = 0.05;
  let dark = false;
  let pen = null;
  let sheet = null;

  function repaint() {
    context.fillStyle = dark ? BLACK : WHITE;
    context.fillRect(0, 0, SIDE, SIDE);
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = width * SIDE;
    context.strokeStyle = dark ? WHITE : BLACK;
    strokes.forEach(trace);
    canvas.dataset.strokes = String(strokes.length);
    canvas.setAttribute("aria-label", `Drawing pad, ${said(strokes.length)}`);
  }

  /** A curve through the middles between the points. @param {Place[]} stroke */
  function trace(stroke) {
    const points = stroke.map((place) => place.map((part) => part * SIDE));
    const [last] = points.slice(-1);
    context.beginPath();
    context.moveTo(...points[0]);
    for (let index = 1; index < points.length; index += 1) {
      const [from, to] = [points[index - 1], points[index]];
      context.quadraticCurveTo(...from, (from[0] + to[0]) / 2, (from[1] + to[1]) / 2);
    }
    // Not quite where it is: a line without length need not be painted, and a dot is one.
    context.lineTo(last[0] + 0.01, last[1]);
    context.stroke();
  }

  const soon = eachFrame(repaint);

  /** @returns {Place} */
  const placeOf = (event) => [
    (event.clientX - sheet.left) / sheet.width,
    (event.clientY - sheet.top) / sheet.height,
  ];

  canvas.addEventListener("pointerdown", (event) => {
    if (pen !== null || event.button !== 0) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    pen = event.pointerId;
    sheet = canvas.getBoundingClientRect();
    strokes.push([placeOf(event)]);
    repaint();
    changed(true);
  });

  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pen) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    strokes.at(-1).push(...(passed.length > 0 ? passed : [event]).map(placeOf));
    soon();
    changed(true);
  });

  // A stroke that the browser takes away, for a gesture of its own, ends there.
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      if (event.pointerId !== pen) return;
      pen = null;
      changed(false);
    });
  }

  repaint();

  return {
    canvas,

    get empty() {
      return strokes.length === 0;
    },

    undo() {
      strokes.pop();
      repaint();
      changed(false);
    },

    clear() {
      strokes = [];
      repaint();
      changed(false);
    },

    /** Choose the width of the pen as a part of the side, and whether the paper is dark; what is drawn follows. */
    style(chosen) {
      if (chosen.width === width && chosen.dark === dark) return;
      ({ width, dark } = chosen);
      repaint();
    },

    /** What is drawn, as a PNG. @returns {Promise<Blob>} */
    picture() {
      repaint();
      return new Promise((done) => canvas.toBlob(done, "image/png"));
    },
  };
}

/** @typedef {ReturnType<typeof createPad>} Pad */

const said = (strokes) =>
  strokes === 0 ? "empty" : strokes === 1 ? "1 stroke" : `${strokes} strokes`;
