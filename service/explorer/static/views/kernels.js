/** The learned kernels of the chosen layer, in diverging colours about zero. */

import * as api from "../api.js";
import { element, failure, many, short, times, watchView } from "../dom.js";
import { colourSheet, kernelAt, sheetOf, drawLegend } from "./kernels/sheet.js";
import { chosenLayer } from "../state.js";
import { Latest, eachFrame } from "../store.js";

/** Beyond it only the kernels of the chosen channel are fetched. */
const MOST_NUMBERS = 3_000_000;

class KernelsView {
  #root;
  #store;
  #actions;
  #fetching;
  #title = element("span", { class: "soft" });
  #message = element("div");
  #canvas = element("canvas", { role: "img", tabIndex: 0 });
  #legend = element("canvas", { role: "img" });
  #statusLine = element("p", { class: "kernels-said small" });
  #views = element("div", {
    class: "kernels-choice",
    role: "group",
    "aria-label": "Which kernels",
  });
  #body = element(
    "div",
    { class: "kernels-body" },
    this.#views,
    element("div", { class: "kernels-scroll" }, this.#canvas),
    element("div", { class: "kernels-legend" }, this.#legend, this.#statusLine),
  );
  #shown = "";
  #offered = "";
  /** @type {import("./kernels/sheet.js").Sheet | null} */
  #sheet = null;
  #inView = false;
  #due = true;
  #repaint = eachFrame(() => {
    const { kernels, channel, colours } = this.#store.state;
    if (kernels.value === null || this.#body.hidden) return;
    const list = this.#choices(kernels.value);
    if (!list.some(([key]) => key === this.#shown)) this.#shown = list[0][0];
    this.#offer(list);
    const width = Math.max(this.#root.clientWidth - 34, 200);
    const draw = this.#shown === "colours" ? colourSheet : sheetOf;
    this.#sheet = draw(this.#canvas, kernels.value, {
      only: this.#shown === "channel" ? (channel ?? 0) : null,
      width,
      channel,
      colours,
    });
    drawLegend(this.#legend, this.#sheet.scale, this.#shown === "colours");
    this.#canvas.setAttribute("aria-label", description(kernels.value));
    this.#root.dataset.range = JSON.stringify([this.#sheet.scale.low, this.#sheet.scale.high]);
    this.#tell(null);
  });

  /**
   * @param {HTMLElement} root
   * @param {import("../store.js").Store} store
   * @param {import("../actions.js").Actions} actions
   */
  constructor(root, store, actions) {
    this.#root = root;
    this.#store = store;
    this.#actions = actions;
    this.#fetching = new Latest(store, "kernels");
    root.append(
      element("div", { class: "head" }, element("h2", {}, "Kernels"), this.#title),
      this.#message,
      this.#body,
    );
    watchView(root, "300px", (inView) => {
      this.#inView = inView;
      if (inView && this.#due) this.#ask();
    });
    new ResizeObserver(eachFrame(() => this.#repaint())).observe(root);
    this.#canvas.addEventListener("pointermove", (event) => {
      const { left, top } = this.#canvas.getBoundingClientRect();
      this.#tell(
        this.#sheet &&
          kernelAt(this.#sheet, this.#store.state.kernels.value, {
            x: event.clientX - left,
            y: event.clientY - top,
          }),
      );
    });
    this.#canvas.addEventListener("pointerleave", () => this.#tell(null));
    this.#canvas.addEventListener("click", (event) => {
      const { left, top } = this.#canvas.getBoundingClientRect();
      const weight =
        this.#sheet &&
        kernelAt(this.#sheet, this.#store.state.kernels.value, {
          x: event.clientX - left,
          y: event.clientY - top,
        });
      if (weight && this.#store.state.unit !== null)
        this.#actions.chooseUnit(weight.output, this.#store.state.unit);
    });
    store.on(["model"], () => {
      this.#due = true;
      this.#fetching.clear();
    });
    store.on(["layers", "layer", "channel"], (state, changed) => this.#later(state, changed));
    store.on(["kernels", "layers", "layer"], (state) => this.#show(state));
    store.on(["colours", "theme"], this.#repaint);
  }

  #ask() {
    const { scene, channel } = this.#store.state;
    const { model, layer } = scene;
    const chosen = chosenLayer(this.#store.state);
    if (!chosen) return;
    this.#due = false;
    if (!hasKernels(chosen)) {
      this.#fetching.clear();
      return;
    }
    const part = chosen.parameters > MOST_NUMBERS ? (channel ?? 0) : null;
    this.#fetching.load(
      async (signal) => {
        const tensor = await api.kernelTensor(model, layer, signal, part);
        return { ...tensor, layer, first: part ?? 0, part, coloured: isColour(chosen, tensor) };
      },
      { keep: false },
    );
  }

  #later({ scene: { layer }, layers, channel, kernels }, changed) {
    const partial =
      kernels.value !== null && kernels.value.part !== null && kernels.value.part !== channel;
    if (!changed.has("layers") && !changed.has("layer") && !partial) {
      this.#repaint();
      return;
    }
    this.#due = true;
    this.#root.hidden = layers.value === null || layer === null;
    if (this.#inView) this.#ask();
  }

  /** What there is to choose from: all kernels, one output's, or as colours. */
  #choices({ shape, coloured, part }) {
    const several = part === null && shape[1] > 1;
    const list = [];
    if (coloured) list.push(["colours", "In colour"]);
    if (part === null) list.push(["all", several ? "All, grouped by output" : "All"]);
    if (several || part !== null)
      list.push(["channel", `Of channel ${this.#store.state.channel ?? 0}`]);
    return list;
  }

  /**
   * The same buttons as long as the choice is the same: one that is replaced while it is pressed
   * hears no click.
   */
  #offer(list) {
    this.#views.hidden = list.length < 2;
    if (list.map(([, text]) => text).join() !== this.#offered) {
      this.#offered = list.map(([, text]) => text).join();
      this.#views.replaceChildren(...list.map(([key, text]) => this.#choice(key, text)));
    }
    for (const button of this.#views.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(button.dataset.view === this.#shown));
  }

  #choice(key, text) {
    return element(
      "button",
      {
        type: "button",
        "data-view": key,
        onclick: () => {
          this.#shown = key;
          this.#repaint();
        },
      },
      text,
    );
  }

  #show({ scene: { layer }, kernels, layers }) {
    const chosen = layers.value?.[layer];
    if (!chosen) return;
    this.#body.hidden = kernels.value === null;
    this.#title.textContent = kernels.value ? headline(kernels.value) : "";
    this.#message.replaceChildren(...this.#words(kernels, chosen));
    this.#repaint();
  }

  #words({ status, error, value }, chosen) {
    if (status === "failed") return [failure(error, () => this.#ask())];
    if (status === "loading" && value === null)
      return [element("p", { class: "soft" }, "Fetching the kernels…")];
    if (hasKernels(chosen)) return [];
    return [
      element(
        "p",
        { class: "soft" },
        `${chosen.operator} learns no kernels: it only ${chosen.kind === "pool" ? "summarises" : "joins"} what other layers found.`,
      ),
    ];
  }

  #tell(found) {
    const { scaling } = this.#store.state.colours;
    const meaning =
      this.#shown === "colours"
        ? "Mid-grey is no weight; a colour is what the kernel looks for"
        : "Negative weights speak against, positive ones for";
    const scaled =
      scaling === "map"
        ? "each output scaled by its own largest weight"
        : "all scaled by the layer's largest weight";
    this.#statusLine.textContent = found
      ? `${found.text} = ${short(found.value)}`
      : `${meaning}; ${scaled}.`;
    this.#statusLine.title = found ? String(found.value) : "";
  }
}

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 * @param {import("../actions.js").Actions} actions
 */
export const mount = (root, store, actions) => new KernelsView(root, store, actions);

const hasKernels = ({ kind }) =>
  kind === "convolution" || kind === "transposed_convolution" || kind === "dense";

/**
 * Kernels over the three colours of a picture: those of a layer that reads the input, and nothing
 * else has three.
 */
const isColour = (layer, { shape }) =>
  layer.inputs.length === 0 && shape.length === 4 && shape[1] === 3;

function headline({ shape, part }) {
  const size = shape.slice(2);
  const kernel =
    size.length > 1
      ? `${times(size)} kernels`
      : size.length === 1
        ? `kernels of ${size[0]}`
        : "weights";
  const outputs = shape[0] === 1 ? "the one output" : `each of ${many(shape[0])} outputs`;
  return `${kernel}, ${shape[1]} in ${part === null ? outputs : "each output"}`;
}

const description = ({ shape }) =>
  `Kernels of ${shape[0]} outputs over ${shape[1]} inputs, ${times(shape.slice(2)) || "single weights"} each`;
