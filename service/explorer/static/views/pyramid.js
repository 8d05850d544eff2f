/** The nested patches of the chosen unit through all the layers before it, down to the input. */

import * as api from "../api.js";
import { element, failure, times, watchView } from "../dom.js";
import { asText } from "../fields.js";
import { Maps } from "../maps.js";
import { nestedFields, path, shownLevels } from "./pyramid/levels.js";
import { drawNested } from "./pyramid/nested.js";
import { drawStack } from "./pyramid/stack.js";
import { chosenLayer } from "../state.js";
import { Latest, eachFrame } from "../store.js";

const REST = 200;
const MOST_PLANES = 8;

class PyramidView {
  #root;
  #store;
  #fetching;
  #thumbnails = createThumbnails(() => this.#repaint());
  #stack = element("canvas", { role: "img" });
  #nested = element("canvas", { role: "img" });
  #depth = element("input", { type: "range", min: 0, step: 1, id: "depth" });
  #statusLine = element("p", { class: "pyramid-said", "aria-live": "polite" });
  #rows = element("tbody");
  #growth = element(
    "div",
    { class: "pyramid-growth" },
    this.#nested,
    element(
      "div",
      {},
      element("label", { for: "depth" }, "From layer to layer"),
      this.#depth,
      this.#statusLine,
    ),
  );
  #body = element(
    "div",
    { class: "pyramid-body" },
    element("div", { class: "pyramid-scroll" }, this.#stack),
    this.#growth,
    element("details", {}, element("summary", {}, "Every layer on the way"), table(this.#rows)),
  );
  #message = element("div");
  #title = element("span", { class: "soft" });
  #timer = 0;
  #inView = false;
  #due = true;
  #repaint = eachFrame(() => {
    const {
      scene: { input },
      pyramid,
      layers,
    } = this.#store.state;
    if (pyramid.value === null || layers.value === null || this.#body.hidden) return;
    const { way, picture, model } = pyramid.value;
    const planes = shownLevels(
      way,
      Math.min(MOST_PLANES, Math.max(3, Math.floor(this.#root.clientWidth / 120))),
    );
    const colours = this.#store.state.colours;
    drawStack(
      this.#stack,
      planes,
      (level) => this.#thumbnails.of(model, input, level, picture),
      colours,
      this.#root.clientWidth - 32,
    );
    const fields = nestedFields(way);
    drawNested(this.#nested, fields, Number(this.#depth.value), picture, colours);
    this.#tell(fields[Number(this.#depth.value)], fields.length);
  });

  /**
   * @param {HTMLElement} root
   * @param {import("../store.js").Store} store
   */
  constructor(root, store) {
    this.#root = root;
    this.#store = store;
    this.#fetching = new Latest(store, "pyramid");
    root.append(
      element(
        "div",
        { class: "head" },
        element("h2", {}, "What it sees, layer by layer"),
        this.#title,
      ),
      this.#message,
      this.#body,
    );
    watchView(root, "200px", (inView) => {
      this.#inView = inView;
      if (inView && this.#due) this.#ask();
    });
    new ResizeObserver(eachFrame(() => this.#repaint())).observe(root);
    this.#depth.addEventListener("input", this.#repaint);
    store.on(["model"], () => {
      this.#fetching.clear();
      this.#thumbnails.clear();
      this.#due = true;
    });
    store.on(["maps", "layer", "unit", "playing"], (state) => this.#later(state));
    store.on(["pyramid", "input"], () => this.#show());
    store.on(["colours", "theme"], this.#repaint);
  }

  #later({ playing }) {
    this.#due = true;
    if (playing) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#inView && this.#ask(), REST);
  }

  #ask() {
    const { scene, layers, unit } = this.#store.state;
    const { model, layer, input, maps } = scene;
    const chosen = chosenLayer(this.#store.state);
    if (maps.status !== "ready" || maps.value?.layer !== layer) return;
    if (chosen === null || unit === null || input === null) return;
    this.#due = false;
    const query = { unit: unit.length > 0 ? unit.join(",") : null, input_id: input };
    this.#fetching.load(async (signal) => {
      const { levels } = await api.pyramid(model, layer, query, signal);
      const picture = await this.#thumbnails.input(model, input, signal);
      const way = path(chosen, unit, levels, layers.value ?? [], picture.size);
      return { way, picture, model, input };
    });
  }

  #tell(field, count) {
    if (!field) {
      this.#statusLine.textContent = "";
      return;
    }
    const place = `${Number(this.#depth.value) + 1} of ${count}`;
    const sizes = times(field.interval.map(([start, stop]) => stop - start));
    this.#statusLine.textContent = `Layer ${field.level.index} ${field.level.name} (${place}): one of its units sees ${sizes} of the input.`;
    this.#nested.setAttribute("aria-label", this.#statusLine.textContent);
  }

  #show() {
    const {
      scene: { input },
      pyramid,
    } = this.#store.state;
    this.#body.hidden = pyramid.value === null;
    this.#body.classList.toggle("stale", pyramid.status === "loading");
    this.#message.replaceChildren(...this.#words(pyramid, input));
    if (pyramid.value === null) return;
    const { way } = pyramid.value;
    this.#root.dataset.levels = JSON.stringify(
      way.map(({ index, interval, clipped }) => ({ index, interval, clipped })),
    );
    const unit = way.at(-1);
    const which = unit.position.length > 0 ? `unit ${unit.position.join(", ")}` : "each number";
    this.#title.textContent = `${which} of layer ${unit.index} ${unit.name}`;
    this.#stack.setAttribute(
      "aria-label",
      `The patches that unit ${unit.position.join(", ")} sees, in ${way.length - 1} tensors before it`,
    );
    const fields = nestedFields(way);
    const former = Number(this.#depth.max);
    this.#depth.max = String(Math.max(fields.length - 1, 0));
    if (former !== Number(this.#depth.max)) this.#depth.value = this.#depth.max;
    this.#growth.hidden = fields.length === 0;
    this.#rows.replaceChildren(...[...way].reverse().map(row));
    this.#repaint();
  }

  #words({ status, error }, input) {
    if (status === "failed") return [failure(error, () => this.#ask())];
    if (status === "idle")
      return [
        element("p", { class: "soft" }, input === null ? "Give the network an input first." : "…"),
      ];
    return [];
  }
}

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 */
export const mount = (root, store) => new PyramidView(root, store);

const table = (rows) =>
  element(
    "table",
    { class: "pyramid-table" },
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        ...["Layer", "Map", "Patch", "Units of it"].map((text) =>
          element("th", { scope: "col" }, text),
        ),
      ),
    ),
    rows,
  );

function row({ index, name, size, interval, clipped }) {
  const sizes = clipped.map(([start, stop]) => stop - start);
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, index === null ? "the input" : `${index} ${name}`),
    element("td", {}, size.length > 0 ? times(size) : "a vector"),
    element("td", { class: "number" }, interval.length > 0 ? asText(interval) : "all of it"),
    element("td", {}, sizes.length > 0 ? times(sizes) : ""),
  );
}

/**
 * One map for each plane, the one with the strongest unit; and the input as the network sees it.
 */
function createThumbnails(arrived) {
  const kept = new Map();

  function fetched(key, fetching) {
    if (!kept.has(key)) {
      kept.set(key, null);
      fetching().then(
        (value) => {
          kept.set(key, value);
          arrived();
        },
        () => kept.delete(key),
      );
    }
    return kept.get(key);
  }

  return {
    clear: () => kept.clear(),

    async input(model, id, signal) {
      const view = await api.networkView(model, id, signal);
      if (!(view instanceof Blob)) {
        const maps = new Maps(view, view.shape.length > 1 ? 0 : null);
        return { maps, size: maps.size };
      }
      const bitmap = await createImageBitmap(view);
      return { bitmap, size: [bitmap.height, bitmap.width] };
    },

    /** The map to paint on a plane; null until it is there. */
    of(model, input, level, picture) {
      if (level.index === null) return picture;
      if (kept.size > 200) kept.clear();
      const key = `${model} ${input} ${level.index}`;
      return fetched(key, async () => ({
        maps: await api.activations(
          model,
          level.layer,
          input,
          { strongest: 1 },
          /** @type {any} */ (AbortSignal).timeout(20_000),
        ),
      }));
    },
  };
}
