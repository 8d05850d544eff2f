/** Slides the kernel over the map: play, pause, one step on or back, at a speed. */

import { element } from "../../dom.js";

const SPEEDS = [
  { name: "1 step a second", pause: 1000, row: false },
  { name: "4 steps a second", pause: 250, row: false },
  { name: "20 steps a second", pause: 50, row: false },
  { name: "row by row", pause: 120, row: true },
];

/**
 * @param {{move: (steps: number | "row") => boolean, began: () => void, ended: () => void, clear: () => void}} on
 *   `move` answers whether there was somewhere to go.
 */
export function createPlayer(on) {
  const button = (text, label, onclick) =>
    element("button", { type: "button", onclick, "aria-label": label, title: label }, text);
  const back = button("◂", "Step back", () => step(-1));
  const play = button("Play", "Play: slide the kernel over the input", () =>
    timer === null ? start() : stop(),
  );
  const forward = button("▸", "Step forward", () => step(1));
  const clear = button("Show the whole map", "Show the whole served map again", () => {
    stop();
    on.clear();
  });
  clear.classList.add("quiet");
  const speeds = SPEEDS.map(({ name }, place) => element("option", { value: String(place) }, name));
  const speed = element("select", { "aria-label": "Speed" }, ...speeds);
  speed.value = "1";
  const progress = element("p", { class: "convolution-progress small soft" });
  const root = element(
    "div",
    { class: "convolution-player", role: "group", "aria-label": "Slide the kernel" },
    back,
    play,
    forward,
    speed,
    clear,
    progress,
  );
  let timer = null;
  clear.hidden = true;

  function step(steps) {
    stop();
    on.move(steps);
  }

  function start() {
    on.began();
    root.dataset.playing = "true";
    play.textContent = "Pause";
    play.setAttribute("aria-label", "Pause");
    timer = setTimeout(tick, SPEEDS[speed.value].pause);
  }

  function stop() {
    if (timer === null) return;
    clearTimeout(timer);
    timer = null;
    delete root.dataset.playing;
    play.textContent = "Play";
    play.setAttribute("aria-label", "Play: slide the kernel over the input");
    on.ended();
  }

  function tick() {
    const { pause, row } = SPEEDS[speed.value];
    timer = setTimeout(tick, pause);
    if (!on.move(row ? "row" : 1)) stop();
  }

  return {
    root,
    stop,
    toggle: () => (timer === null ? start() : stop()),
    get playing() {
      return timer !== null;
    },
    /** @param {string} text What has been computed so far; empty if nothing. */
    report(text) {
      progress.textContent = text;
      clear.hidden = text === "";
    },
  };
}
