/** The pad with its buttons: what is drawn is given to the network while it is drawn. */

import { chosenModel, ofDigit } from "../../media_types.js";
import { amount, nameOf } from "../../classes.js";
import { element } from "../../dom.js";
import { Pad } from "./pad.js";

// Milliseconds: a pen that rests so long has made something to look at; one that does not is
// answered so often.
const REST = 120;
const OFTEN = 300;
// Parts of the sheet's side: a pen's width in which digits look as they are written, and one for
// other drawings.
const DIGIT = 0.07;
const LINE = 0.025;

export class Drawing {
  #store;
  #actions;
  #hint = element("p", { class: "give-hint", "aria-hidden": "true" });
  #pad = new Pad((drawing) => this.#changed(drawing));
  #undo = button("Undo", "Take the last stroke back (Ctrl+Z)", () => this.#pad.undo());
  #clear = button("Clear", "An empty sheet", () => this.#pad.clear());
  #use = button("Use", "Give this drawing to the network again", () => this.#later(0));
  // Beside the pen, where one looks; the prediction's own panel is what is read aloud.
  #answer = element("p", { class: "give-answer", "aria-hidden": "true" });
  panel;
  #inverted = false;
  #themed = false;
  #width = LINE;
  #timer = 0;
  #turn = 0;
  #posted = -Infinity;
  #waiting = false;

  /**
   * @param {import("../../store.js").Store} store
   * @param {import("../../actions.js").Actions} actions
   */
  constructor(store, actions) {
    this.#store = store;
    this.#actions = actions;
    const invert = button("Invert", "Light on dark, or dark on light", () => {
      this.#inverted = !this.#inverted;
      this.#style(this.#store.state);
      if (this.#store.state.given?.drawn) this.#later(0);
    });
    this.panel = element(
      "div",
      { class: "give-draw" },
      element("div", { class: "give-sheet" }, this.#pad.canvas, this.#hint),
      element(
        "div",
        { class: "give-tools" },
        this.#undo,
        this.#clear,
        invert,
        this.#use,
        this.#answer,
      ),
      element(
        "p",
        { class: "unseen" },
        "The pad is for mouse, pen and touch; samples and files of your own need none.",
      ),
    );
    document.addEventListener("keydown", (event) => this.#undoByKey(event));
    store.on(["models", "model", "theme"], (state) => this.#style(state));
    store.on(["given", "model"], (state) => this.#showTools(state));
    store.on(["given", "prediction"], (state) => this.#showAnswer(state));
  }

  /** Forget what has not been posted yet. */
  stop() {
    clearTimeout(this.#timer);
    this.#turn += 1;
    this.#waiting = false;
  }

  #later(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#post(), delay);
    this.#waiting = true;
  }

  #changed(drawing) {
    if (this.#pad.empty) {
      this.stop();
      this.#style(this.#store.state);
      if (this.#store.state.given?.drawn) this.#actions.clear();
    } else {
      const overdue =
        performance.now() - this.#posted > OFTEN &&
        this.#store.state.prediction.status !== "loading";
      this.#later(drawing && overdue ? 0 : REST);
    }
    this.#showTools(this.#store.state);
  }

  async #post() {
    this.stop();
    const mine = this.#turn;
    this.#posted = performance.now();
    const blob = await this.#pad.picture();
    if (mine === this.#turn)
      this.#actions.offer(blob, { name: "your drawing", own: true, drawn: true });
  }

  #style(state) {
    const card = chosenModel(state)?.card;
    const digit = ofDigit(card);
    this.#hint.textContent = digit ? "Draw a digit" : "Draw something";
    // A sheet that is drawn on stays as it was posted, whatever becomes of the page and the model.
    if (this.#pad.empty)
      [this.#themed, this.#width] = [state.theme === "dark", digit ? DIGIT : LINE];
    const dark =
      { light_on_dark: true, dark_on_light: false }[card?.input?.polarity] ?? this.#themed;
    this.#pad.style({ width: this.#width, dark: dark !== this.#inverted });
    this.#hint.classList.toggle("give-on-dark", dark !== this.#inverted);
  }

  #showTools({ given }) {
    const unused = !this.#pad.empty && !given?.drawn && !this.#waiting;
    this.#undo.disabled = this.#clear.disabled = this.#pad.empty;
    this.#hint.hidden = !this.#pad.empty;
    this.#use.hidden = !unused;
    this.#pad.canvas.classList.toggle("stale", unused);
  }

  #showAnswer({ given, prediction }) {
    const classes = (given?.drawn && prediction.value?.predictions) || [];
    const [first] = classes;
    const shown = first ? [element("b", {}, nameOf(first)), amount(first, classes)] : [];
    this.#answer.classList.toggle("give-long", first !== undefined && nameOf(first).length > 2);
    this.#answer.replaceChildren(...shown);
  }

  #undoByKey(event) {
    const isUndo = event.key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
    if (!isUndo || this.panel.hidden || this.#pad.empty) return;
    event.preventDefault();
    this.#pad.undo();
  }
}

const button = (text, title, onclick) =>
  element("button", { type: "button", title, onclick }, text);
