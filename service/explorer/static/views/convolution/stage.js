/**
 * The maps that are read with the window on them, patch × kernel = products in cells, and the map
 * that comes of it.
 */

import { element, svg } from "../../dom.js";
import { scaleFor } from "../../palette.js";
import { rangeOf } from "../../maps.js";
import { around, drawCells, placeAt, widthOf } from "./cells.js";
import { CAPTION, measure, zoomLines } from "./layout.js";
import { drawPlane, placeUnder } from "./plane.js";
import { exact, minus, rounded } from "./text.js";

const NUMBERS_READ_ALOUD = 27;

export class Stage {
  #on;
  #parts = {
    inputs: element("div", { class: "convolution-inputs" }),
    output: plane("convolution-output"),
  };
  #cells = Object.fromEntries(
    ["patch", "kernel", "products"].map((name) => [name, cellFigure(name)]),
  );
  /** @type {Record<string, HTMLElement>} */
  #signs = { times: sign("×"), equals: sign("="), becomes: sign("→") };
  #total = element("span", { class: "number" });
  #calc;
  readout = element("p", { class: "convolution-readout small soft number", role: "status" });
  #picker = element("select", { class: "convolution-channel", "aria-label": "Input channel" });
  #lines = svg("svg", { class: "convolution-lines", "aria-hidden": "true" });
  root;
  /** @type {any} */
  #shown = null;
  /** @type {number | null} */
  #pointed = null;
  /** @type {ReturnType<typeof plane>[]} */
  #planes = [];

  /**
   * @param {{choose: (unit: number[]) => void, chooseChannel: (channel: number | null) => void}} on
   */
  constructor(on) {
    this.#on = on;
    const sum = element("span", { class: "convolution-row-sum" }, this.#signs.becomes, this.#total);
    this.#calc = element(
      "div",
      {
        class: "convolution-calc",
        role: "group",
        tabIndex: 0,
        "aria-label": "Patch, kernel and products: arrow keys read the cells",
      },
      element("span"),
      this.#cells.patch.root,
      this.#signs.times,
      this.#cells.kernel.root,
      this.#signs.equals,
      this.#cells.products.root,
      sum,
    );
    this.root = element(
      "div",
      { class: "convolution-stage" },
      this.#parts.inputs,
      this.#calc,
      this.#parts.output.root,
      this.#lines,
    );
    this.#picker.addEventListener("change", () =>
      this.#on.chooseChannel(this.#picker.value === "" ? null : Number(this.#picker.value)),
    );
    this.#parts.output.canvas.addEventListener("click", (event) => {
      const unit = this.#shown && placeUnder(event, this.#shown.pre.size, this.#parts.output.drawn);
      if (unit) this.#on.choose(unit);
    });
    for (const { canvas } of Object.values(this.#cells)) {
      canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => {
        if (this.#shown)
          this.#pointAt(
            placeAt({ x: offsetX, y: offsetY }, this.#shown.found.shape, this.#shown.cell),
          );
      });
      canvas.addEventListener("pointerleave", () => this.#pointAt(null));
    }
    this.#calc.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step === undefined || !this.#shown) return;
      event.preventDefault();
      event.stopPropagation();
      const count = this.#shown.row.values.length;
      this.#pointAt(((this.#pointed ?? (step > 0 ? -1 : 0)) + step + count) % count);
    });
    this.#calc.addEventListener("blur", () => this.#pointAt(null));
  }

  #pointAt(place) {
    if (place === this.#pointed || !this.#shown) return;
    this.#pointed = place;
    this.#drawNumbers();
    this.#tell();
  }

  #tell() {
    const { row } = this.#shown;
    if (this.#pointed === null || row.values[this.#pointed] === undefined) {
      this.readout.textContent =
        row.values.length > 1 ? "Point at a cell to read its numbers in full." : "";
      this.readout.classList.remove("number");
      return;
    }
    this.readout.classList.add("number");
    const value = row.inside[this.#pointed] ? exact(row.values[this.#pointed]) : "0 (padding)";
    this.readout.textContent = row.weights
      ? `${value} × ${exact(row.weights[this.#pointed])} = ${exact(row.products[this.#pointed])}`
      : row.inside[this.#pointed]
        ? value
        : "padding, which does not count";
  }

  #drawNumbers() {
    const { found, row, scales, cell } = this.#shown;
    const marked = this.#pointed ?? found.winner ?? null;
    const shared = { shape: found.shape, cell, marked };
    const silent = found.how === "maximum" || found.divisor < row.values.length;
    const { values, inside } = row;
    drawCells(this.#cells.patch.canvas, {
      ...shared,
      values,
      inside,
      scale: scales.patch,
      frame: scales.red,
      silent,
    });
    this.#cells.patch.canvas.setAttribute("aria-label", spoken("Patch", row.values));
    if (!row.weights) return;
    drawCells(this.#cells.kernel.canvas, {
      ...shared,
      values: row.weights,
      inside: null,
      scale: scales.kernel,
    });
    drawCells(this.#cells.products.canvas, {
      ...shared,
      values: row.products,
      inside: row.inside,
      scale: scales.products,
    });
    this.#cells.kernel.canvas.setAttribute("aria-label", spoken("Kernel", row.weights));
    this.#cells.products.canvas.setAttribute("aria-label", spoken("Products", row.products));
  }

  #drawMaps(view) {
    const { found, side } = view;
    while (this.#planes.length < view.inputs.length) this.#planes.push(plane("convolution-input"));
    this.#planes.length = view.inputs.length;
    const text = found.how === "product" ? "×" : "+";
    const between = (place) => (place > 0 ? [(this.#signs[`${text}${place}`] ??= sign(text))] : []);
    const nodes = this.#planes.flatMap((each, place) => [...between(place), each.root]);
    if (found.taps.length === 0)
      nodes.push((this.#signs[found.how] ??= sign(found.how === "copy" ? "→" : "=")));
    const { children } = this.#parts.inputs;
    if (children.length !== nodes.length || nodes.some((each, place) => children[place] !== each)) {
      this.#parts.inputs.replaceChildren(...nodes);
    }
    view.inputs.forEach((input, place) => {
      const { canvas, label } = this.#planes[place];
      this.#planes[place].drawn = drawPlane(canvas, {
        ...input,
        side: input.values.length === 1 ? view.sideOfOne : side,
      });
      label.style.maxWidth = `${side + CAPTION}px`;
      const title =
        view.channels.length > 1 ? ["channel ", this.#picker, ` of ${input.title}`] : [input.title];
      label.replaceChildren(...title, slicing(input, this.#planes[place].drawn));
      const reach = input.window.map(([start, stop]) => `${start} to ${stop - 1}`).join(", ");
      canvas.setAttribute("aria-label", `${input.title}, the window at ${reach}`);
    });
    this.#parts.output.drawn = drawPlane(this.#parts.output.canvas, {
      ...view.output,
      side: view.outputSide,
    });
    this.#parts.output.label.style.maxWidth = `${Math.max(view.outputSide, 110) + CAPTION}px`;
    this.#parts.output.label.replaceChildren(
      view.output.title,
      slicing(view.output, this.#parts.output.drawn),
    );
    const chosen = `${view.output.title}; unit ${view.unit.join(", ")}; click to choose another`;
    this.#parts.output.canvas.setAttribute("aria-label", chosen);
  }

  #offerChannels({ channels, row, picked }) {
    if (channels.length < 2) return;
    const key = `${channels.length} ${channels[0]}`;
    if (this.#picker.dataset.key !== key) {
      this.#picker.dataset.key = key;
      const options = channels.map((each) =>
        element("option", { value: String(each) }, String(each)),
      );
      this.#picker.replaceChildren(element("option", { value: "" }), ...options);
    }
    this.#picker.options[0].textContent =
      picked === null ? `${row.channel}, strongest` : "the strongest";
    this.#picker.value = picked === null ? "" : String(picked);
  }

  /** @param {object} view See `viewOf` in ../convolution.js. */
  draw(view) {
    const { found, row, diverging } = view;
    const layout = measure(view, this.root.clientWidth);
    const inputScale = view.inputs[0]?.scale ?? scaleFor(rangeOf(row.values), view.colours);
    const scales = {
      patch: inputScale,
      kernel: around(view.weights ?? [1], diverging),
      products: around(row.products, diverging),
      red: view.red,
    };
    this.#shown = { ...view, ...layout, scales };
    if (this.#pointed !== null && this.#pointed >= row.values.length) this.#pointed = null;
    this.root.classList.toggle("below", layout.below);
    this.root.classList.toggle("stacked", layout.stacked);
    this.root.classList.toggle("narrow", layout.narrow);
    // A window over a whole long signal or volume: it is scrolled, and not the page.
    this.root.classList.toggle("long", widthOf(found.shape, layout.cell) > this.root.clientWidth);
    const bare = found.taps.length === 0;
    this.#calc.hidden = bare;
    this.readout.hidden = bare;
    this.root.classList.toggle("bare", bare);
    this.#labelCells(found, row);
    this.#offerChannels(view);
    this.#drawMaps(this.#shown);
    this.#drawNumbers();
    this.#tell();
    this.#drawZoom(layout.below, bare);
  }

  /** The signs between the cells, and what stands above them. */
  #labelCells(found, row) {
    const weighed = [
      this.#signs.times,
      this.#cells.kernel.root,
      this.#signs.equals,
      this.#cells.products.root,
    ];
    for (const each of weighed) each.hidden = !row.weights;
    this.#signs.becomes.textContent = row.weights ? "Σ" : "→";
    this.#total.textContent = minus(row.weights ? rounded(row.sum) : rounded(found.total));
    this.#cells.patch.label.textContent = "patch";
    this.#cells.products.label.textContent = row.values.length > 1 ? "products" : "product";
  }

  /** Lines from the window on the first map to the patch. */
  #drawZoom(below, bare) {
    const drawn = this.#planes[0]?.drawn;
    const zoom = {
      from: this.#planes[0]?.canvas,
      outline: drawn?.outline,
      to: this.#cells.patch.canvas,
      below,
    };
    zoomLines(this.#lines, this.root, zoom.outline && !bare ? zoom : null);
  }
}

function spoken(name, values) {
  if (values.length > NUMBERS_READ_ALOUD) return `${name}: ${values.length} numbers`;
  return `${name}: ${values.map(rounded).join(", ")}`;
}

const slicing = ({ size }, { slice }) =>
  size.length > 2 ? `, slice ${slice + 1} of ${size[0]}` : "";

const sign = (text) => element("span", { class: "convolution-sign", "aria-hidden": "true" }, text);

/**
 * @param {string} name Its class.
 * @returns {{root: HTMLElement, canvas: HTMLCanvasElement, label: HTMLElement, drawn: any}}
 */
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
