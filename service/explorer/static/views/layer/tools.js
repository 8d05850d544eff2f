/** The tools of a layer: how its maps are sorted and coloured, and ways to take them along. */

import * as api from "../../api.js";
import { confirmOn, copyText, download, fileName, quoted } from "../../copy.js";
import { element } from "../../dom.js";
import { chosenLayer } from "../../state.js";
import { DIVERGING, SCALINGS, SEQUENTIAL } from "../../palette.js";

const UNITS = 8;
const SCALING_NAMES = { map: "map", layer: "layer", all: "all layers shown" };
const SORTS = { number: "number", largest: "largest value" };

export class Tools {
  #store;
  #onSort;
  #picture;
  #onFailure;
  #sort = choice("Sort by", Object.entries(SORTS), (value) => this.#onSort(value));
  #scaling;
  #palette = choice("Colours", [], (value) => this.#recolour(this.#palette.kind, value));
  #copy;
  #files;
  element;

  /**
   * @param {import("../../store.js").Store} store
   * @param {object} handlers
   * @param {(by: "number" | "largest") => void} handlers.onSort
   * @param {() => Promise<Blob>} handlers.picture Of the sheet.
   * @param {(error: Error) => void} handlers.onFailure
   */
  constructor(store, { onSort, picture, onFailure }) {
    this.#store = store;
    this.#onSort = onSort;
    this.#picture = picture;
    this.#onFailure = onFailure;
    const scalings = SCALINGS.map((each) => [each, SCALING_NAMES[each] ?? each]);
    this.#scaling = choice("Scale per", scalings, (value) => this.#recolour("scaling", value));
    const about = "The request for these activations, for a terminal";
    this.#copy = element(
      "button",
      { type: "button", class: "quiet", title: about },
      "Copy as curl",
    );
    this.#files = [
      this.#button("PNG", "The maps as they are shown", () => this.#picture(), ".png"),
      this.#button(
        "JSON",
        "Statistics of the channels and the strongest units",
        () => api.blob(this.#current()),
        ".json",
      ),
      this.#button(
        ".npy",
        "The whole tensor, for NumPy",
        () => api.blob(this.#current(), undefined, api.NPY),
        ".npy",
      ),
    ];
    const take = element(
      "div",
      { class: "layer-take", role: "group", "aria-label": "Take along" },
      this.#copy,
      element("span", { class: "soft small" }, "Download"),
      ...this.#files,
    );
    this.element = element(
      "div",
      { class: "layer-tools" },
      this.#sort.element,
      this.#scaling.element,
      this.#palette.element,
      take,
    );
    this.#copy.addEventListener("click", async () => {
      if (await copyText(`curl ${quoted(this.#current().href)}`)) confirmOn(this.#copy, "Copied");
    });
  }

  #recolour(key, value) {
    return this.#store.set({ colours: { ...this.#store.state.colours, [key]: value } });
  }

  #chosen() {
    return /** @type {import("../../state.js").LayerSummary} */ (chosenLayer(this.#store.state));
  }

  #current() {
    return api.activationsAddress(
      this.#store.state.scene.model,
      this.#chosen().index,
      this.#store.state.scene.input,
      { units: UNITS },
    );
  }

  #button(text, title, making, end) {
    const label = `Download ${text}: ${title.toLowerCase()}`;
    const made = element(
      "button",
      { type: "button", class: "quiet", title, "aria-label": label },
      text,
    );
    made.addEventListener("click", async () => {
      const name = fileName(this.#store.state.scene.model, this.#chosen(), end);
      made.disabled = true;
      try {
        download(await making(), name);
      } catch (error) {
        this.#onFailure(error);
      } finally {
        made.disabled = false;
      }
    });
    return made;
  }

  /**
   * @param {object} now
   * @param {"sequential" | "diverging" | null} now.kind Which palettes are in use.
   * @param {boolean} now.several Whether there are several maps.
   * @param {boolean} now.single Whether each is one number, and has no range of its own.
   * @param {boolean} now.there
   */
  show({ kind, several, single, there }) {
    const { colours } = this.#store.state;
    this.#sort.element.hidden = !several;
    this.#scaling.select.options[SCALINGS.indexOf("map")].disabled = single;
    this.#scaling.select.value = single && colours.scaling === "map" ? "layer" : colours.scaling;
    this.#scaling.element.hidden = !several;
    this.#palette.element.hidden = kind === null;
    if (kind !== null && this.#palette.kind !== kind) {
      this.#palette.kind = kind;
      const names = kind === "diverging" ? DIVERGING : SEQUENTIAL;
      this.#palette.select.replaceChildren(...names.map((name) => option(name, name)));
    }
    if (kind !== null) this.#palette.select.value = colours[kind];
    for (const each of [this.#copy, ...this.#files]) each.disabled = !there;
  }
}

function choice(label, options, onChange) {
  const select = element("select", {}, ...options.map(([value, text]) => option(value, text)));
  select.addEventListener("change", () => onChange(select.value));
  /** @type {{select: HTMLSelectElement, kind: string | null, element: HTMLElement}} */
  const field = {
    select,
    kind: null,
    element: element("label", { class: "field small" }, label, select),
  };
  return field;
}

const option = (value, text) => element("option", { value }, text);
