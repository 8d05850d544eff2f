/** What the colours of a sheet stand for. */

import { element, short } from "../../dom.js";
import { cssColour } from "../../palette.js";

const STOPS = 32;

/** A bar of colours with its least value, zero and its largest value. */
export function createLegend() {
  const bar = element("div", { class: "legend-bar" });
  const ticks = element("div", { class: "legend-ticks number" });
  const about = element("p", { class: "soft small" });
  const root = element(
    "div",
    { class: "legend", role: "img", "aria-label": "Colours" },
    bar,
    ticks,
    about,
  );
  let last = "";

  return {
    element: root,

    /**
     * @param {import("../../palette.js").Scale} scale
     * @param {string} text Whose range it is.
     * @param {boolean} lines Whether values are heights and not colours.
     */
    show(scale, text, lines) {
      const now = [scale.palette, scale.low, scale.high, text, lines].join();
      if (now === last) return;
      last = now;
      bar.hidden = lines;
      bar.style.background = lines
        ? ""
        : `linear-gradient(to right, ${gradient(scale).join(", ")})`;
      ticks.replaceChildren(...marks(scale).map(([value, place]) => tick(value, place)));
      about.textContent = lines ? `Heights: ${text}` : `Colours: ${text}`;
      root.setAttribute("aria-label", `${about.textContent}, from ${scale.low} to ${scale.high}`);
      Object.assign(root.dataset, {
        low: String(scale.low),
        high: String(scale.high),
        palette: scale.palette,
      });
    },
  };
}

function gradient(scale) {
  const at = (place) => scale.low + (place / STOPS) * (scale.high - scale.low);
  return Array.from({ length: STOPS + 1 }, (_, place) => cssColour(at(place), scale));
}

/** @returns {[number, number][]} Values, and where they stand on the ramp. */
function marks({ low, high }) {
  if (!(high > low)) return [[low, 0]];
  /** @type {[number, number][]} */
  const ticks = [
    [low, 0],
    [high, 1],
  ];
  const zero = -low / (high - low);
  return zero > 0 && zero < 1 ? ticks.toSpliced(1, 0, [0, zero]) : ticks;
}

function tick(value, place) {
  const made = element("span", { title: String(value) }, short(value));
  made.style.left = `${place * 100}%`;
  made.style.transform = `translateX(${-place * 100}%)`;
  return made;
}
