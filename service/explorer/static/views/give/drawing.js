/** The pad with its buttons: what is drawn is given to the network while it is drawn. */

import { chosenModel, ofDigit } from "../../accepted.js";
import { amount, nameOf } from "../../classes.js";
import { element } from "../../dom.js";
import { createPad } from "./pad.js";

// Milliseconds: a pen that rests so long has made something to look at; one that does not is answered so often.
const REST = 120;
const OFTEN = 300;
// Parts of the sheet's side: a pen's width in which digits look as they are written, and one for other drawings.
const DIGIT = 0.07;
const LINE = 0.025;

/**
 * @param {import("../../store.js").Store} store
 * @param {import("../../sources.js").Sources} sources
 */
export function createDrawing(store, sources) {
  const hint = element("p", { class: "give-hint", "aria-hidden": "true" });
  const pad = createPad(changed);
  const button = (text, title, onclick) =>
    element("button", { type: "button", title, onclick }, text);
  const undo = button("Undo", "Take the last stroke back (Ctrl+Z)", pad.undo);
  const clear = button("Clear", "An empty sheet", pad.clear);
  const invert = button("Invert", "Light on dark, or dark on light", () => {
    inverted = !inverted;
    style(store.state);
    if (store.state.given?.drawn) later(0);
  });
  const use = button("Use", "Give this drawing to the network again", () => later(0));
  // Beside the pen, where one looks; the prediction's own panel is what is read aloud.
  const answer = element("p", { class: "give-answer", "aria-hidden": "true" });
  const panel = element(
    "div",
    { class: "give-draw" },
    element("div", { class: "give-sheet" }, pad.canvas, hint),
    element("div", { class: "give-tools" }, undo, clear, invert, use, answer),
    element(
      "p",
      { class: "unseen" },
      "The pad is for mouse, pen and touch; samples and files of your own need none.",
    ),
  );
  let inverted = false;
  let themed = false;
  let width = LINE;
  let timer = 0;
  let turn = 0;
  let posted = -Infinity;
  let waiting = false;

  /** Forget what has not been posted yet. */
  function stop() {
    clearTimeout(timer);
    turn += 1;
    waiting = false;
  }

  function later(delay) {
    clearTimeout(timer);
    timer = setTimeout(post, delay);
    waiting = true;
  }

  function changed(drawing) {
    if (pad.empty) {
      stop();
      style(store.state);
      if (store.state.given?.drawn) sources.clear();
    } else {
      const overdue =
        performance.now() - posted > OFTEN && store.state.prediction.status !== "loading";
      later(drawing && overdue ? 0 : REST);
    }
    showTools(store.state);
  }

  async function post() {
    stop();
    const mine = turn;
    posted = performance.now();
    const blob = await pad.picture();
    if (mine === turn) sources.offer(blob, { name: "your drawing", own: true, drawn: true });
  }

  function style(state) {
    const card = chosenModel(state)?.card;
    const digit = ofDigit(card);
    hint.textContent = digit ? "Draw a digit" : "Draw something";
    // A sheet that is drawn on stays as it was posted, whatever becomes of the page and the model.
    if (pad.empty) [themed, width] = [state.theme === "dark", digit ? DIGIT : LINE];
    const dark = { light_on_dark: true, dark_on_light: false }[card?.input?.polarity] ?? themed;
    pad.style({ width, dark: dark !== inverted });
    hint.classList.toggle("give-on-dark", dark !== inverted);
  }

  function showTools({ given }) {
    const unused = !pad.empty && !given?.drawn && !waiting;
    undo.disabled = clear.disabled = pad.empty;
    hint.hidden = !pad.empty;
    use.hidden = !unused;
    pad.canvas.classList.toggle("stale", unused);
  }

  function showAnswer({ given, prediction }) {
    const classes = (given?.drawn && prediction.value?.predictions) || [];
    const [first] = classes;
    const shown = first ? [element("b", {}, nameOf(first)), amount(first, classes)] : [];
    answer.classList.toggle("give-long", first !== undefined && nameOf(first).length > 2);
    answer.replaceChildren(...shown);
  }

  function undoByKey(event) {
    const asked = event.key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
    if (!asked || panel.hidden || pad.empty) return;
    event.preventDefault();
    pad.undo();
  }

  document.addEventListener("keydown", undoByKey);
  store.on(["models", "model", "theme"], style);
  store.on(["given", "model"], showTools);
  store.on(["given", "prediction"], showAnswer);
  return { panel, stop };
}
