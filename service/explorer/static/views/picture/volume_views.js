/** A volume as one of its slices, and beside it as seen from above and from the side, the brightest in front. */

import { element } from "../../dom.js";
import { createPlane } from "./plane.js";
import { section } from "./shown.js";

const WIDE = 0.58;

/** The same methods as a plane: `show`, `mark`, `pixelAt`, `describe`; pixels are [slice, row, column]. */
export function createVolumeViews({ label }) {
  const front = createPlane({ label, focusable: true });
  const above = createPlane({ label: "The volume from above: slices down, columns across" });
  const side = createPlane({ label: "The volume from the side: rows down, slices across" });
  const turn = () => hold(slider.valueAsNumber);
  const slider = element("input", {
    type: "range",
    min: 0,
    step: 1,
    "aria-label": "Slice",
    oninput: turn,
  });
  const told = element("output", { class: "number small" });
  const pressed = {
    type: "button",
    class: "quiet small",
    "aria-pressed": "true",
    onclick: release,
  };
  const follow = element("button", pressed, "Follow the unit");
  const root = element(
    "div",
    { class: "picture-volume" },
    figure(
      front,
      "One slice, from the front",
      element("div", { class: "picture-slices" }, slider, told, follow),
    ),
    element(
      "div",
      { class: "picture-projections" },
      figure(above, "From above"),
      figure(side, "From the side"),
    ),
  );
  let maps = null;
  let mark = null;
  let slice = 0;
  let held = false;
  let width = 0;

  function hold(wanted) {
    held = true;
    follow.setAttribute("aria-pressed", "false");
    turnTo(wanted);
  }

  function release() {
    held = false;
    follow.setAttribute("aria-pressed", "true");
    paint();
  }

  function turnTo(wanted) {
    const next = Math.min(Math.max(wanted, 0), maps.size[0] - 1);
    if (next !== slice) {
      slice = next;
      showSlice();
    }
    paint();
  }

  function showSlice() {
    slider.value = slice;
    told.textContent = `slice ${slice} of 0–${maps.size[0] - 1}`;
    const image = section(maps, 0, 0, slice, maps.range(0));
    front.show({ image, size: maps.size.slice(1), frame: null }, Math.round(width * WIDE));
  }

  function paint() {
    if (!held && mark?.solid) {
      const [start, stop] = mark.solid[0];
      const middle = Math.floor((start + stop - 1) / 2);
      if (middle !== slice) {
        slice = middle;
        showSlice();
      }
    }
    const pixel = mark?.pixel ?? null;
    const pick = (intervals, axes) => intervals && axes.map((axis) => intervals[axis]);
    const along = (axes, more) =>
      mark && {
        solid: pick(mark.solid, axes),
        whole: pick(mark.whole, axes),
        pixel: pick(pixel, axes),
        ...more,
      };
    const within = mark?.solid && mark.solid[0][0] <= slice && slice < mark.solid[0][1];
    front.mark(along([1, 2], { ghost: Boolean(mark?.whole) && !within }));
    above.mark(along([0, 2], { line: [0, slice + 0.5] }));
    side.mark(along([1, 0], { line: [1, slice + 0.5] }));
  }

  front.target.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      hold(slice + Math.sign(event.deltaY));
    },
    { passive: false },
  );
  front.target.addEventListener("keydown", (event) => {
    const step = { PageUp: 1, PageDown: -1 }[event.key];
    if (step) {
      event.preventDefault();
      hold(slice + step);
    }
  });

  return {
    root,
    target: front.target,

    /** @param {import("../../maps.js").Maps} shown */
    show(shown, across) {
      const other = maps?.size.join() !== shown.size.join();
      maps = shown;
      width = across;
      slider.max = maps.size[0] - 1;
      slice = other ? Math.floor(maps.size[0] / 2) : slice;
      showSlice();
      const rest = Math.floor(width * (1 - WIDE)) - 8;
      for (const [plane, axis, turned] of [
        [above, 1, false],
        [side, 2, true],
      ]) {
        const image = section(maps, 0, axis, null, maps.range(0), turned);
        plane.show({ image, size: [image.height, image.width], frame: null }, rest);
      }
      paint();
    },

    mark(marked) {
      mark = marked;
      if (maps) paint();
    },

    describe: front.describe,

    pixelAt(event) {
      const found = front.pixelAt(event);
      return found && [slice, ...found];
    },
  };
}

const figure = (plane, caption, ...more) =>
  element(
    "figure",
    {},
    plane.root,
    element("figcaption", { class: "soft small" }, caption),
    ...more,
  );
