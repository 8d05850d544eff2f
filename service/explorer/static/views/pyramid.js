/** The nested patches of the chosen unit through all the layers before it, down to the input. */

import * as api from "../api.js";
import { element, failure, times } from "../dom.js";
import { asText } from "../fields.js";
import { Maps } from "../maps.js";
import { nestedFields, path, shownLevels } from "./pyramid/levels.js";
import { drawNested } from "./pyramid/nested.js";
import { drawStack } from "./pyramid/stack.js";
import { IDLE, eachFrame, latest } from "../store.js";

const REST = 200;
const MOST_PLANES = 8;

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 */
export function mount(root, store) {
  store.set({ pyramid: IDLE });
  const fetching = latest(store, "pyramid");
  const thumbnails = createThumbnails(() => repaint());
  const stack = element("canvas", { role: "img" });
  const nested = element("canvas", { role: "img" });
  const depth = element("input", { type: "range", min: 0, step: 1, id: "depth" });
  const said = element("p", { class: "pyramid-said", "aria-live": "polite" });
  const rows = element("tbody");
  const body = element(
    "div",
    { class: "pyramid-body" },
    element("div", { class: "pyramid-scroll" }, stack),
    element(
      "div",
      { class: "pyramid-growth" },
      nested,
      element("div", {}, element("label", { for: "depth" }, "From layer to layer"), depth, said),
    ),
    element("details", {}, element("summary", {}, "Every layer on the way"), table(rows)),
  );
  const message = element("div");
  const title = element("span", { class: "soft" });
  root.append(
    element("div", { class: "head" }, element("h2", {}, "What it sees, layer by layer"), title),
    message,
    body,
  );

  let timer = 0;
  let inView = false;
  let due = true;
  new IntersectionObserver(
    (entries) => {
      inView = entries.at(-1).isIntersecting;
      if (inView && due) ask();
    },
    { rootMargin: "200px" },
  ).observe(root);
  new ResizeObserver(eachFrame(() => repaint())).observe(root);

  function later({ playing }) {
    due = true;
    if (playing) return;
    clearTimeout(timer);
    timer = setTimeout(() => inView && ask(), REST);
  }

  function ask() {
    const { model, layers, layer, input, unit, maps } = store.state;
    if (maps.status !== "ready" || maps.value.layer !== layer || unit === null || input === null)
      return;
    due = false;
    const chosen = layers.value[layer];
    const query = { unit: unit.length > 0 ? unit.join(",") : null, input_id: input };
    fetching.load(async (signal) => {
      const { levels } = await api.pyramid(model, layer, query, signal);
      const picture = await thumbnails.input(model, input, signal);
      const way = path(chosen, unit, levels, layers.value, picture.size);
      return { way, picture, model, input };
    });
  }

  const repaint = eachFrame(() => {
    const { pyramid, layers, input } = store.state;
    if (pyramid.value === null || layers.value === null || body.hidden) return;
    const { way, picture, model } = pyramid.value;
    const planes = shownLevels(
      way,
      Math.min(MOST_PLANES, Math.max(3, Math.floor(root.clientWidth / 120))),
    );
    const colours = store.state.colours;
    drawStack(
      stack,
      planes,
      (level) => thumbnails.of(model, input, level, picture),
      colours,
      root.clientWidth - 32,
    );
    const fields = nestedFields(way);
    drawNested(nested, fields, Number(depth.value), picture, colours);
    tell(fields[Number(depth.value)], fields.length);
  });

  function tell(field, count) {
    if (!field) {
      said.textContent = "";
      return;
    }
    const place = `${Number(depth.value) + 1} of ${count}`;
    const sizes = times(field.interval.map(([start, stop]) => stop - start));
    said.textContent = `Layer ${field.level.index} ${field.level.name} (${place}): one of its units sees ${sizes} of the input.`;
    nested.setAttribute("aria-label", said.textContent);
  }

  function show() {
    const { pyramid, input } = store.state;
    body.hidden = pyramid.value === null;
    body.classList.toggle("stale", pyramid.status === "loading");
    message.replaceChildren(...words(pyramid, input));
    if (pyramid.value === null) return;
    const { way } = pyramid.value;
    root.dataset.levels = JSON.stringify(
      way.map(({ index, interval, clipped }) => ({ index, interval, clipped })),
    );
    const unit = way.at(-1);
    const which = unit.position.length > 0 ? `unit ${unit.position.join(", ")}` : "each number";
    title.textContent = `${which} of layer ${unit.index} ${unit.name}`;
    stack.setAttribute(
      "aria-label",
      `The patches that unit ${unit.position.join(", ")} sees, in ${way.length - 1} tensors before it`,
    );
    const fields = nestedFields(way);
    const former = Number(depth.max);
    depth.max = String(Math.max(fields.length - 1, 0));
    if (former !== Number(depth.max)) depth.value = depth.max;
    depth.parentElement.parentElement.hidden = fields.length === 0;
    rows.replaceChildren(...[...way].reverse().map(row));
    repaint();
  }

  function words({ status, error }, input) {
    if (status === "failed") return [failure(error, ask)];
    if (status === "idle")
      return [
        element("p", { class: "soft" }, input === null ? "Give the network an input first." : "…"),
      ];
    return [];
  }

  depth.addEventListener("input", repaint);
  store.on(["model"], () => {
    fetching.clear();
    thumbnails.clear();
    due = true;
  });
  store.on(["maps", "layer", "unit", "playing"], later);
  store.on(["pyramid", "input"], show);
  store.on(["colours", "theme"], repaint);
}

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

/** One map for each plane, the one with the strongest unit; and the input as the network sees it. */
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
      const found = await api.networkView(model, id, signal);
      if (!(found instanceof Blob)) {
        const maps = new Maps(found, found.shape.length > 1 ? 0 : null);
        return { maps, size: maps.size };
      }
      const bitmap = await createImageBitmap(found);
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
          AbortSignal.timeout(20_000),
        ),
      }));
    },
  };
}
