/** The tools of a layer: how its maps are sorted and coloured, and ways to take them along. */

import * as api from "../../api.js";
import { confirmOn, copyText, download, fileName, quoted } from "../../copy.js";
import { element } from "../../dom.js";
import { DIVERGING, SCALINGS, SEQUENTIAL } from "../../palette.js";

const UNITS = 8;
const SCALING_NAMES = { map: "map", layer: "layer", all: "all layers shown" };
const SORTS = { number: "number", largest: "largest value" };

/**
 * @param {import("../../store.js").Store} store
 * @param {object} handlers
 * @param {(by: "number" | "largest") => void} handlers.onSort
 * @param {() => Promise<Blob>} handlers.picture Of the sheet.
 * @param {(error: Error) => void} handlers.onFailure
 */
export function createTools(store, { onSort, picture, onFailure }) {
  const sort = choice("Sort by", Object.entries(SORTS), (value) => onSort(value));
  const scalings = SCALINGS.map((each) => [each, SCALING_NAMES[each] ?? each]);
  const scaling = choice("Scale per", scalings, (value) => recolour("scaling", value));
  const palette = choice("Colours", [], (value) => recolour(palette.kind, value));
  const about = "The request for these activations, for a terminal";
  const copy = element("button", { type: "button", class: "quiet", title: about }, "Copy as curl");
  const files = [
    button("PNG", "The maps as they are shown", () => picture(), ".png"),
    button(
      "JSON",
      "Statistics of the channels and the strongest units",
      () => api.blob(current()),
      ".json",
    ),
    button(
      ".npy",
      "The whole tensor, for NumPy",
      () => api.blob(current(), undefined, api.NPY),
      ".npy",
    ),
  ];
  const take = element(
    "div",
    { class: "layer-take", role: "group", "aria-label": "Take along" },
    copy,
    element("span", { class: "soft small" }, "Download"),
    ...files,
  );
  const root = element(
    "div",
    { class: "layer-tools" },
    sort.element,
    scaling.element,
    palette.element,
    take,
  );

  const recolour = (key, value) => store.set({ colours: { ...store.state.colours, [key]: value } });
  const chosen = () => store.state.layers.value[store.state.layer];
  const current = () =>
    api.activationsAddress(store.state.model, chosen().index, store.state.input, { units: UNITS });

  function button(text, title, making, end) {
    const label = `Download ${text}: ${title.toLowerCase()}`;
    const made = element(
      "button",
      { type: "button", class: "quiet", title, "aria-label": label },
      text,
    );
    made.addEventListener("click", async () => {
      const name = fileName(store.state.model, chosen(), end);
      made.disabled = true;
      try {
        download(await making(), name);
      } catch (error) {
        onFailure(error);
      } finally {
        made.disabled = false;
      }
    });
    return made;
  }

  copy.addEventListener("click", async () => {
    if (await copyText(`curl ${quoted(current().href)}`)) confirmOn(copy, "Copied");
  });

  return {
    element: root,

    /**
     * @param {object} now
     * @param {"sequential" | "diverging" | null} now.kind Which palettes are in use.
     * @param {boolean} now.several Whether there are several maps.
     * @param {boolean} now.single Whether each is one number, and has no range of its own.
     * @param {boolean} now.there
     */
    show({ kind, several, single, there }) {
      const { colours } = store.state;
      sort.element.hidden = !several;
      scaling.select.options[SCALINGS.indexOf("map")].disabled = single;
      scaling.select.value = single && colours.scaling === "map" ? "layer" : colours.scaling;
      scaling.element.hidden = !several;
      palette.element.hidden = kind === null;
      if (kind !== null && palette.kind !== kind) {
        palette.kind = kind;
        const names = kind === "diverging" ? DIVERGING : SEQUENTIAL;
        palette.select.replaceChildren(...names.map((name) => option(name, name)));
      }
      if (kind !== null) palette.select.value = colours[kind];
      for (const each of [copy, ...files]) each.disabled = !there;
    },
  };
}

function choice(label, options, onChange) {
  const select = element("select", {}, ...options.map(([value, text]) => option(value, text)));
  select.addEventListener("change", () => onChange(select.value));
  return { select, kind: null, element: element("label", { class: "field small" }, label, select) };
}

const option = (value, text) => element("option", { value }, text);
