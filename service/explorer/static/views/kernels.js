/** The learned kernels of the chosen layer, in diverging colours about zero. */

import * as api from "../api.js";
import { element, failure, many, short, times } from "../dom.js";
import { colourSheet, kernelAt, sheetOf, drawLegend } from "./kernels/sheet.js";
import { IDLE, eachFrame, latest } from "../store.js";

/** Beyond it only the kernels of the chosen channel are fetched. */
const MOST_NUMBERS = 3_000_000;

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 * @param {import("../sources.js").Sources} sources
 */
export function mount(root, store, sources) {
  store.set({ kernels: IDLE });
  const fetching = latest(store, "kernels");
  const title = element("span", { class: "soft" });
  const message = element("div");
  const canvas = element("canvas", { role: "img", tabIndex: 0 });
  const legend = element("canvas", { role: "img" });
  const said = element("p", { class: "kernels-said small" });
  const views = element("div", {
    class: "kernels-choice",
    role: "group",
    "aria-label": "Which kernels",
  });
  const body = element(
    "div",
    { class: "kernels-body" },
    views,
    element("div", { class: "kernels-scroll" }, canvas),
    element("div", { class: "kernels-legend" }, legend, said),
  );
  root.append(
    element("div", { class: "head" }, element("h2", {}, "Kernels"), title),
    message,
    body,
  );

  let shown = "";
  let offered = "";
  let sheet = null;
  let inView = false;
  let due = true;
  new IntersectionObserver(
    (entries) => {
      inView = entries.at(-1).isIntersecting;
      if (inView && due) ask();
    },
    { rootMargin: "300px" },
  ).observe(root);
  new ResizeObserver(eachFrame(() => repaint())).observe(root);

  function ask() {
    const { model, layers, layer, channel } = store.state;
    const chosen = layers.value?.[layer];
    if (!chosen) return;
    due = false;
    if (!hasKernels(chosen)) {
      fetching.clear();
      return;
    }
    const part = chosen.parameters > MOST_NUMBERS ? (channel ?? 0) : null;
    fetching.load(
      async (signal) => {
        const tensor = await api.kernelTensor(model, layer, signal, part);
        return { ...tensor, layer, first: part ?? 0, part, coloured: isColour(chosen, tensor) };
      },
      { keep: false },
    );
  }

  function later({ layers, layer, channel, kernels }, changed) {
    const partial =
      kernels.value !== null && kernels.value.part !== null && kernels.value.part !== channel;
    if (!changed.has("layers") && !changed.has("layer") && !partial) {
      repaint();
      return;
    }
    due = true;
    root.hidden = layers.value === null || layer === null;
    if (inView) ask();
  }

  /** What there is to choose from: all kernels, one output's, or as colours. */
  function choices({ shape, coloured, part }) {
    const several = part === null && shape[1] > 1;
    const list = [];
    if (coloured) list.push(["colours", "In colour"]);
    if (part === null) list.push(["all", several ? "All, grouped by output" : "All"]);
    if (several || part !== null) list.push(["channel", `Of channel ${store.state.channel ?? 0}`]);
    return list;
  }

  const repaint = eachFrame(() => {
    const { kernels, channel, colours } = store.state;
    if (kernels.value === null || body.hidden) return;
    const list = choices(kernels.value);
    if (!list.some(([key]) => key === shown)) shown = list[0][0];
    offer(list);
    const width = Math.max(root.clientWidth - 34, 200);
    const draw = shown === "colours" ? colourSheet : sheetOf;
    sheet = draw(canvas, kernels.value, {
      only: shown === "channel" ? (channel ?? 0) : null,
      width,
      channel,
      colours,
    });
    drawLegend(legend, sheet.scale, shown === "colours");
    canvas.setAttribute("aria-label", description(kernels.value));
    root.dataset.range = JSON.stringify([sheet.scale.low, sheet.scale.high]);
    tell(null);
  });

  /** The same buttons as long as the choice is the same: one that is replaced while it is pressed hears no click. */
  function offer(list) {
    views.hidden = list.length < 2;
    if (list.map(([, text]) => text).join() !== offered) {
      offered = list.map(([, text]) => text).join();
      views.replaceChildren(...list.map(([key, text]) => choice(key, text)));
    }
    for (const button of views.children)
      button.setAttribute("aria-pressed", String(button.dataset.view === shown));
  }

  const choice = (key, text) =>
    element(
      "button",
      {
        type: "button",
        "data-view": key,
        onclick: () => {
          shown = key;
          repaint();
        },
      },
      text,
    );

  function show({ kernels, layers, layer }) {
    const chosen = layers.value?.[layer];
    if (!chosen) return;
    body.hidden = kernels.value === null;
    title.textContent = kernels.value ? headline(kernels.value) : "";
    message.replaceChildren(...words(kernels, chosen));
    repaint();
  }

  function words({ status, error, value }, chosen) {
    if (status === "failed") return [failure(error, ask)];
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

  function tell(found) {
    const { scaling } = store.state.colours;
    const meaning =
      shown === "colours"
        ? "Mid-grey is no weight; a colour is what the kernel looks for"
        : "Negative weights speak against, positive ones for";
    const scaled =
      scaling === "map"
        ? "each output scaled by its own largest weight"
        : "all scaled by the layer's largest weight";
    said.textContent = found ? `${found.text} = ${short(found.value)}` : `${meaning}; ${scaled}.`;
    said.title = found ? String(found.value) : "";
  }

  canvas.addEventListener("pointermove", (event) => {
    const { left, top } = canvas.getBoundingClientRect();
    tell(
      sheet &&
        kernelAt(sheet, store.state.kernels.value, {
          x: event.clientX - left,
          y: event.clientY - top,
        }),
    );
  });
  canvas.addEventListener("pointerleave", () => tell(null));
  canvas.addEventListener("click", (event) => {
    const { left, top } = canvas.getBoundingClientRect();
    const found =
      sheet &&
      kernelAt(sheet, store.state.kernels.value, {
        x: event.clientX - left,
        y: event.clientY - top,
      });
    if (found && store.state.unit !== null) sources.chooseUnit(found.output, store.state.unit);
  });

  store.on(["model"], () => {
    due = true;
    fetching.clear();
  });
  store.on(["layers", "layer", "channel"], later);
  store.on(["kernels", "layers", "layer"], show);
  store.on(["colours", "theme"], repaint);
}

const hasKernels = ({ kind }) =>
  kind === "convolution" || kind === "transposed_convolution" || kind === "dense";

/** Kernels over the three colours of a picture: those of a layer that reads the input, and nothing else has three. */
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
