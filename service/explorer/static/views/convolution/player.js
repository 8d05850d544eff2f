/** Slides the kernel over the map: play, pause, one step on or back, at a speed. */

import { element } from "../../dom.js";

const SPEEDS = [
  { name: "1 step a second", pause: 1000, row: false },
  { name: "4 steps a second", pause: 250, row: false },
  { name: "20 steps a second", pause: 50, row: false },
  { name: "row by row", pause: 120, row: true },
];

export class Player {
  #on;
  #play = button("Play", "Play: slide the kernel over the input", () =>
    this.#timer === null ? this.#start() : this.stop(),
  );
  #clear = button("Show the whole map", "Show the whole served map again", () => {
    this.stop();
    this.#on.clear();
  });
  #speed;
  #progress = element("p", { class: "convolution-progress small soft" });
  root;
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;

  /**
   * @param {{move: (steps: number | "row") => boolean, began: () => void, ended: () => void, clear:
   *   () => void}} on `move` answers whether there was somewhere to go.
   */
  constructor(on) {
    this.#on = on;
    const back = button("◂", "Step back", () => this.#step(-1));
    const forward = button("▸", "Step forward", () => this.#step(1));
    this.#clear.classList.add("quiet");
    const speeds = SPEEDS.map(({ name }, place) =>
      element("option", { value: String(place) }, name),
    );
    this.#speed = element("select", { "aria-label": "Speed" }, ...speeds);
    this.#speed.value = "1";
    this.root = element(
      "div",
      { class: "convolution-player", role: "group", "aria-label": "Slide the kernel" },
      back,
      this.#play,
      forward,
      this.#speed,
      this.#clear,
      this.#progress,
    );
    this.#clear.hidden = true;
  }

  #step(steps) {
    this.stop();
    this.#on.move(steps);
  }

  #start() {
    this.#on.began();
    this.root.dataset.playing = "true";
    this.#play.textContent = "Pause";
    this.#play.setAttribute("aria-label", "Pause");
    this.#timer = setTimeout(() => this.#tick(), SPEEDS[this.#speed.value].pause);
  }

  stop() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    delete this.root.dataset.playing;
    this.#play.textContent = "Play";
    this.#play.setAttribute("aria-label", "Play: slide the kernel over the input");
    this.#on.ended();
  }

  #tick() {
    const { pause, row } = SPEEDS[this.#speed.value];
    this.#timer = setTimeout(() => this.#tick(), pause);
    if (!this.#on.move(row ? "row" : 1)) this.stop();
  }

  toggle() {
    return this.#timer === null ? this.#start() : this.stop();
  }

  get playing() {
    return this.#timer !== null;
  }

  /** @param {string} text What has been computed so far; empty if nothing. */
  report(text) {
    this.#progress.textContent = text;
    this.#clear.hidden = text === "";
  }
}

const button = (text, label, onclick) =>
  element("button", { type: "button", onclick, "aria-label": label, title: label }, text);
