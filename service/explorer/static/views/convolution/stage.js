/** The maps that are read with the window on them, patch × kernel = products in cells, and the map that comes of it. */

import { element, svg } from "../../dom.js";
import { scaleFor } from "../../palette.js";
import { rangeOf } from "../../maps.js";
import { around, drawCells, placeAt, widthOf } from "./cells.js";
import { CAPTION, measure, zoomLines } from "./layout.js";
import { drawPlane, placeUnder } from "./plane.js";
import { exact, minus, told } from "./words.js";

const NUMBERS_READ_ALOUD = 27;

/**
 * @param {{choose: (unit: number[]) => void, chooseChannel: (channel: number | null) => void}} on
 */
export function createStage(on) {
  const parts = {
    inputs: element("div", { class: "convolution-inputs" }),
    output: plane("convolution-output"),
  };
  const cells = Object.fromEntries(
    ["patch", "kernel", "products"].map((name) => [name, cellFigure(name)]),
  );
  const signs = { times: sign("×"), equals: sign("="), becomes: sign("→") };
  const total = element("span", { class: "number" });
  const sum = element("span", { class: "convolution-row-sum" }, signs.becomes, total);
  const calc = element(
    "div",
    {
      class: "convolution-calc",
      role: "group",
      tabIndex: 0,
      "aria-label": "Patch, kernel and products: arrow keys read the cells",
    },
    element("span"),
    cells.patch.root,
    signs.times,
    cells.kernel.root,
    signs.equals,
    cells.products.root,
    sum,
  );
  const readout = element("p", { class: "convolution-readout small soft number", role: "status" });
  const picker = element("select", { class: "convolution-channel", "aria-label": "Input channel" });
  const lines = svg("svg", { class: "convolution-lines", "aria-hidden": "true" });
  const root = element(
    "div",
    { class: "convolution-stage" },
    parts.inputs,
    calc,
    parts.output.root,
    lines,
  );
  let shown = null;
  let pointed = null;
  let planes = [];

  picker.addEventListener("change", () =>
    on.chooseChannel(picker.value === "" ? null : Number(picker.value)),
  );
  parts.output.canvas.addEventListener("click", (event) => {
    const unit = shown && placeUnder(event, shown.pre.size, parts.output.drawn);
    if (unit) on.choose(unit);
  });
  for (const { canvas } of Object.values(cells)) {
    canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => {
      if (shown) pointAt(placeAt({ x: offsetX, y: offsetY }, shown.found.shape, shown.cell));
    });
    canvas.addEventListener("pointerleave", () => pointAt(null));
  }
  calc.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step === undefined || !shown) return;
    event.preventDefault();
    event.stopPropagation();
    const count = shown.row.values.length;
    pointAt(((pointed ?? (step > 0 ? -1 : 0)) + step + count) % count);
  });
  calc.addEventListener("blur", () => pointAt(null));

  function pointAt(place) {
    if (place === pointed || !shown) return;
    pointed = place;
    drawNumbers();
    tell();
  }

  function tell() {
    const { row } = shown;
    if (pointed === null || row.values[pointed] === undefined) {
      readout.textContent =
        row.values.length > 1 ? "Point at a cell to read its numbers in full." : "";
      readout.classList.remove("number");
      return;
    }
    readout.classList.add("number");
    const value = row.inside[pointed] ? exact(row.values[pointed]) : "0 (padding)";
    readout.textContent = row.weights
      ? `${value} × ${exact(row.weights[pointed])} = ${exact(row.products[pointed])}`
      : row.inside[pointed]
        ? value
        : "padding, which does not count";
  }

  function drawNumbers() {
    const { found, row, scales, cell } = shown;
    const marked = pointed ?? found.winner ?? null;
    const shared = { shape: found.shape, cell, marked };
    const silent = found.how === "maximum" || found.divisor < row.values.length;
    const { values, inside } = row;
    drawCells(cells.patch.canvas, {
      ...shared,
      values,
      inside,
      scale: scales.patch,
      frame: scales.red,
      silent,
    });
    cells.patch.canvas.setAttribute("aria-label", spoken("Patch", row.values));
    if (!row.weights) return;
    drawCells(cells.kernel.canvas, {
      ...shared,
      values: row.weights,
      inside: null,
      scale: scales.kernel,
    });
    drawCells(cells.products.canvas, {
      ...shared,
      values: row.products,
      inside: row.inside,
      scale: scales.products,
    });
    cells.kernel.canvas.setAttribute("aria-label", spoken("Kernel", row.weights));
    cells.products.canvas.setAttribute("aria-label", spoken("Products", row.products));
  }

  function drawMaps(view) {
    const { found, side } = view;
    while (planes.length < view.inputs.length)
      planes.push(plane("convolution-input", view.inputs.length > 1));
    planes.length = view.inputs.length;
    const text = found.how === "product" ? "×" : "+";
    const between = (place) => (place > 0 ? [(signs[`${text}${place}`] ??= sign(text))] : []);
    const wanted = planes.flatMap((each, place) => [...between(place), each.root]);
    if (found.taps.length === 0)
      wanted.push((signs[found.how] ??= sign(found.how === "copy" ? "→" : "=")));
    const { children } = parts.inputs;
    if (
      children.length !== wanted.length ||
      wanted.some((each, place) => children[place] !== each)
    ) {
      parts.inputs.replaceChildren(...wanted);
    }
    view.inputs.forEach((input, place) => {
      const { canvas, label } = planes[place];
      planes[place].drawn = drawPlane(canvas, {
        ...input,
        side: input.values.length === 1 ? view.sideOfOne : side,
      });
      label.style.maxWidth = `${side + CAPTION}px`;
      const title =
        view.channels.length > 1 ? ["channel ", picker, ` of ${input.title}`] : [input.title];
      label.replaceChildren(...title, slicing(input, planes[place].drawn));
      const reach = input.window.map(([start, stop]) => `${start} to ${stop - 1}`).join(", ");
      canvas.setAttribute("aria-label", `${input.title}, the window at ${reach}`);
    });
    parts.output.drawn = drawPlane(parts.output.canvas, { ...view.output, side: view.outputSide });
    parts.output.label.style.maxWidth = `${Math.max(view.outputSide, 110) + CAPTION}px`;
    parts.output.label.replaceChildren(view.output.title, slicing(view.output, parts.output.drawn));
    const chosen = `${view.output.title}; unit ${view.unit.join(", ")}; click to choose another`;
    parts.output.canvas.setAttribute("aria-label", chosen);
  }

  function offerChannels({ channels, row, picked }) {
    if (channels.length < 2) return;
    const key = `${channels.length} ${channels[0]}`;
    if (picker.dataset.key !== key) {
      picker.dataset.key = key;
      const options = channels.map((each) =>
        element("option", { value: String(each) }, String(each)),
      );
      picker.replaceChildren(element("option", { value: "" }), ...options);
    }
    picker.options[0].textContent = picked === null ? `${row.channel}, strongest` : "the strongest";
    picker.value = picked === null ? "" : String(picked);
  }

  return {
    root,
    readout,
    /** @param {object} view See `viewOf` in ../convolution.js. */
    draw(view) {
      const { found, row, diverging } = view;
      const layout = measure(view, root.clientWidth);
      const inputScale = view.inputs[0]?.scale ?? scaleFor(rangeOf(row.values), view.colours);
      const scales = {
        patch: inputScale,
        kernel: around(view.weights ?? [1], diverging),
        products: around(row.products, diverging),
        red: view.red,
      };
      shown = { ...view, ...layout, scales };
      if (pointed !== null && pointed >= row.values.length) pointed = null;
      root.classList.toggle("below", layout.below);
      root.classList.toggle("stacked", layout.stacked);
      root.classList.toggle("narrow", layout.narrow);
      // A window over a whole long signal or volume: it is scrolled, and not the page.
      root.classList.toggle("long", widthOf(found.shape, layout.cell) > root.clientWidth);
      const bare = found.taps.length === 0;
      calc.hidden = bare;
      readout.hidden = bare;
      root.classList.toggle("bare", bare);
      const weighed = [signs.times, cells.kernel.root, signs.equals, cells.products.root];
      for (const each of weighed) each.hidden = !row.weights;
      signs.becomes.textContent = row.weights ? "Σ" : "→";
      total.textContent = minus(row.weights ? told(row.sum) : told(found.total));
      cells.patch.label.textContent = "patch";
      cells.products.label.textContent = row.values.length > 1 ? "products" : "product";
      offerChannels(view);
      drawMaps(shown);
      drawNumbers();
      tell();
      const drawn = planes[0]?.drawn;
      const zoom = {
        from: planes[0]?.canvas,
        outline: drawn?.outline,
        to: cells.patch.canvas,
        below: layout.below,
      };
      zoomLines(lines, root, zoom.outline && !bare ? zoom : null);
    },
  };
}

function spoken(name, values) {
  if (values.length > NUMBERS_READ_ALOUD) return `${name}: ${values.length} numbers`;
  return `${name}: ${values.map(told).join(", ")}`;
}

const slicing = ({ size }, { slice }) =>
  size.length > 2 ? `, slice ${slice + 1} of ${size[0]}` : "";

const sign = (text) => element("span", { class: "convolution-sign", "aria-hidden": "true" }, text);

function plane(name) {
  const canvas = element("canvas", { role: "img", class: "convolution-map" });
  const label = element("figcaption", { class: "small soft" });
  return { root: element("figure", { class: name }, canvas, label), canvas, label, drawn: null };
}

function cellFigure(name) {
  const canvas = element("canvas", { role: "img" });
  const label = element("figcaption", { class: "small soft" }, name);
  return { root: element("figure", { class: "convolution-cells" }, canvas, label), canvas, label };
}
