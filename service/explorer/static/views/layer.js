/** The chosen layer: all its maps at once, one of them enlarged, and the unit under the pointer. */

import { element, failure, short } from "../dom.js";
import { EnlargedView, movedBy } from "./layer/enlarged.js";
import { seeing } from "../fields.js";
import { createHead } from "./layer/head.js";
import { Tools } from "./layer/tools.js";
import { createLegend } from "./layer/legend.js";
import { createRunningRange, keepColours, scalesFor } from "../ranges.js";
import { createReadout, createStrongest, unitInWords } from "./layer/readout.js";
import { MapSheet } from "./layer/sheet.js";
import { eachFrame } from "../store.js";
import { orderOf, surveyOf } from "../survey.js";
import { labelsOf, valueInWords } from "./layer/words.js";

const WHOSE = { layer: "the whole layer", all: "all layers shown so far for this input" };

class LayerView {
  #root;
  #store;
  #sources;
  #runningRange = createRunningRange();
  #sort = "number";
  #slice = 0;
  /** What is painted: null while there is nothing. */
  #contents = null;
  #enlargedChannel = null;
  #head;
  #sheet = new MapSheet({
    onPoint: (found) => this.#point(found),
    onChoose: (value) => this.#choose(value),
  });
  #enlarged = new EnlargedView({
    // Not the channel that it shows: that may still be one that was pointed at in the sheet.
    onPoint: (unit) => this.#point(unit && { channel: this.#store.state.channel, unit }),
    onChoose: (unit) => this.#choose({ channel: this.#store.state.channel, unit }),
    onSlice: (step) => this.#showSlice(this.#slice + step),
    onKey: (event) => this.#moveUnit(event),
  });
  #readout = createReadout();
  #strongest = createStrongest({
    onPoint: (found) => this.#point(found),
    onChoose: (value) => this.#choose(value),
  });
  #legend = createLegend();
  #tools;
  #depth = element("input", { type: "range", min: 0, step: 1, id: "layer-slice" });
  #depthSaid = element("span", { class: "number small" });
  #slices;
  #caption = element("p", { class: "soft small" });
  #notice = element("div", { class: "layer-notice" });
  #announced = element("p", { class: "unseen", "aria-live": "polite" });
  #body;

  /**
   * @param {HTMLElement} root
   * @param {import("../store.js").Store} store
   * @param {import("../sources.js").Sources} sources
   */
  constructor(root, store, sources) {
    this.#root = root;
    this.#store = store;
    this.#sources = sources;
    store.set({ seenRange: null });
    this.#head = createHead((index) => sources.chooseLayer(index));
    this.#tools = new Tools(store, {
      onSort: (by) => this.#sortBy(by),
      picture: () => this.#sheet.picture(),
      onFailure: (error) => this.#onFailure(error),
    });
    const depthLabel = element("label", { for: "layer-slice", class: "small soft" }, "Slice");
    this.#slices = element(
      "div",
      { class: "layer-slices" },
      depthLabel,
      this.#depth,
      this.#depthSaid,
    );
    const frame = element("div", { class: "layer-frame" }, this.#enlarged.element);
    const single = element(
      "div",
      { class: "layer-single" },
      frame,
      this.#slices,
      this.#readout.element,
      this.#legend.element,
    );
    const many = element(
      "div",
      { class: "layer-many" },
      this.#caption,
      this.#sheet.element,
      this.#strongest.element,
    );
    this.#body = element("div", { class: "layer-body" }, single, many);
    root.append(this.#head.element, this.#tools.element, this.#notice, this.#body, this.#announced);
    this.#depth.addEventListener("input", () => this.#showSlice(Number(this.#depth.value)));
    store.on(["maps"], (value) => this.#noteRange(value));
    store.on(["colours"], ({ colours }) => keepColours(colours));
    store.on(
      ["maps", "layers", "layer", "colours", "seenRange", "input", "prediction", "fields"],
      eachFrame(() => this.#show()),
    );
    store.on(["theme"], () => {
      this.#sheet.repaint();
      this.#enlarged.repaint();
    });
    store.on(
      ["pointed", "channel", "unit", "pixel", "pixelOn"],
      eachFrame(() => this.#showUnit()),
    );
    store.on(
      ["channel", "unit", "maps"],
      eachFrame(() => this.#followUnit(this.#store.state)),
    );
    new ResizeObserver(eachFrame(() => this.#enlarged.repaint())).observe(single);
  }

  #point(found) {
    const { pointed } = this.#store.state;
    if (found?.channel !== pointed?.channel || String(found?.unit) !== String(pointed?.unit))
      this.#sources.point(found);
  }

  #choose({ channel, unit }) {
    return this.#sources.chooseUnit(channel, unit);
  }

  #onFailure(error) {
    return this.#notice.replaceChildren(failure(error));
  }

  #sortBy(by) {
    this.#sort = by;
    this.#show();
    this.#sheet.toTop();
  }

  #showSlice(wanted) {
    const last = (this.#contents?.maps.size[0] ?? 1) - 1;
    const found = Math.min(Math.max(wanted, 0), last);
    if (found === this.#slice) return;
    this.#slice = found;
    this.#show();
  }

  #moveUnit(event) {
    const { channel, unit, maps } = this.#store.state;
    if (!this.#contents || unit === null || this.#contents.maps !== maps.value) return;
    const paging = { PageUp: -1, PageDown: 1 }[event.key];
    const place = paging && this.#contents.order.indexOf(channel) + paging;
    const to = paging
      ? { channel: this.#contents.order[place] ?? channel, unit }
      : { channel, unit: movedBy(event, unit, this.#contents.maps.size) };
    if (to.unit === null) return;
    event.preventDefault();
    this.#choose(to);
  }

  #show() {
    const { state } = this.#store;
    const layer = state.layers.value?.[state.layer];
    this.#root.hidden = !layer;
    if (!layer) return;
    const maps = mapsOf(state);
    const { size, channels } = maps ?? expected(layer);
    const units = size.reduce((product, each) => product * each, 1);
    this.#head.show(state.layers.value, state.layer);
    const quiet =
      maps === null && state.maps.status !== "loading" && state.prediction.status !== "loading";
    this.#body.hidden = quiet;
    this.#body.classList.toggle("stale", maps !== null && state.maps.status === "loading");
    this.#body.classList.toggle("layer-waiting", maps === null);
    this.#body.classList.toggle("layer-dense", units === 1);
    this.#notice.replaceChildren(...this.#words(state, maps));
    const before = this.#contents;
    this.#contents = maps && this.#contentsOf(maps, state);
    this.#showDepth(size);
    const same = this.#contents === before;
    this.#tools.show({
      kind: this.#paletteKind(maps, size),
      several: channels > 1,
      single: units === 1,
      there: maps !== null,
    });
    this.#caption.textContent = captionOf(channels, units);
    this.#sheet.element.setAttribute(
      "aria-label",
      `${this.#caption.textContent} Arrow keys choose among them.`,
    );
    this.#sheet.show(this.#contents, size, channels);
    this.#root.dataset.layer = maps ? String(state.layer) : "";
    if (!same) this.#enlargedChannel = null;
    if (maps === null) {
      this.#readout.clear();
      this.#enlarged.show(null, size);
    } else if (before?.maps !== maps) {
      this.#strongest.show(maps, surveyOf(maps), this.#contents.labels);
      this.#strongest.mark(state.channel, state.unit);
    }
    this.#strongest.element.classList.toggle("layer-unknown", maps === null);
    this.#showUnit();
  }

  /** The same object as long as nothing changes that is painted. */
  #contentsOf(maps, state) {
    this.#slice = Math.min(this.#slice, (maps.size.length > 2 ? maps.size[0] : 1) - 1);
    const { colours } = state;
    const range = colours.scaling === "all" ? state.seenRange : null;
    const made = { maps, slice: this.#slice, sort: this.#sort, colours, range };
    if (
      this.#contents &&
      Object.entries(made).every(([key, value]) => this.#contents[key] === value)
    )
      return this.#contents;
    const order = orderOf(surveyOf(maps), this.#sort);
    return {
      ...made,
      order,
      labels: labelsOf(state, maps),
      scaleOf: scalesFor(maps, colours, range),
    };
  }

  #showDepth(size) {
    this.#slices.hidden = size.length < 3 || size[0] < 2;
    if (this.#slices.hidden) return;
    this.#depth.max = String(size[0] - 1);
    this.#depth.value = String(this.#slice);
    this.#depthSaid.textContent = `${this.#slice} of 0–${size[0] - 1}`;
  }

  #paletteKind(maps, size) {
    if (size.length === 1 && !size.every((length) => length === 1)) return null;
    return maps && this.#contents.scaleOf(0).low < 0 ? "diverging" : "sequential";
  }

  #words({ maps: { status, error }, input, prediction, fields }, maps) {
    if (status === "failed") return [failure(error, () => this.#sources.retry())];
    const told = (text) => element("p", { class: "notice small" }, text);
    if (maps === null) {
      const waiting = status === "loading" || prediction.status === "loading";
      return input === null && !waiting
        ? [told("No input yet: give the network one, and its maps appear here.")]
        : [];
    }
    const { odd } = surveyOf(maps);
    return [
      odd > 0 && told(`Values that are not finite (NaN or infinite): ${odd}, pink on the maps.`),
      fields.status === "failed" &&
        told(`What the units see is not known here: ${fields.error.message}`),
    ].filter(Boolean);
  }

  /** Everything that follows the pointer; the sheet itself stays as it is painted. */
  #showUnit() {
    const { state } = this.#store;
    if (this.#contents === null || state.unit === null || this.#contents.maps !== mapsOf(state))
      return;
    const { maps, labels, scaleOf } = this.#contents;
    const shown = fitting(shownUnit(state), maps) ?? { channel: 0, unit: maps.size.map(() => 0) };
    const chosen = fitting({ channel: state.channel, unit: state.unit }, maps);
    const lit = litUnits(state, maps);
    if (shown.channel !== this.#enlargedChannel) {
      this.#enlargedChannel = shown.channel;
      const map = {
        values: maps.map(shown.channel),
        size: maps.size,
        slice: this.#slice,
        scale: scaleOf(shown.channel),
      };
      this.#enlarged.show(maps.length > 1 ? map : null, maps.size);
    }
    this.#readout.show(maps, surveyOf(maps), shown, labels);
    const told = `${unitInWords(maps, shown, labels)}: ${valueInWords(maps.at(shown.channel, shown.unit), short)}`;
    this.#enlarged.element.setAttribute("aria-label", `${told}. Arrow keys move the unit.`);
    const lines = maps.size.length === 1 && maps.length > 1;
    this.#legend.show(
      scaleOf(shown.channel),
      WHOSE[state.colours.scaling] ?? whoseMap(maps, shown),
      lines,
    );
    Object.assign(this.#root.dataset, {
      lit: JSON.stringify(lit),
      pixel: JSON.stringify(state.pixel),
    });
    this.#sheet.mark({ pointed: state.pointed && shown, chosen, lit });
    this.#enlarged.mark({
      unit: shown.unit,
      chosen: chosen?.channel === shown.channel ? chosen.unit : null,
      lit,
    });
  }

  #followUnit({ unit, channel }) {
    if (this.#contents === null || unit === null) return;
    this.#strongest.mark(channel, unit);
    if (this.#contents.maps.size.length > 2 && unit.length === this.#contents.maps.size.length)
      this.#showSlice(unit[0]);
    if (
      this.#root.contains(document.activeElement) &&
      fitting({ channel, unit }, this.#contents.maps)
    ) {
      const { maps, labels } = this.#contents;
      const value = valueInWords(maps.at(channel, unit), short);
      this.#announced.textContent = `${unitInWords(maps, { channel, unit }, labels)}: ${value}`;
    }
  }

  #noteRange({ maps, model, layer }) {
    if (maps.status !== "ready" || maps.value.layer !== layer) return;
    const now = this.#runningRange(model, maps.value);
    if (String(now) !== String(this.#store.state.seenRange)) this.#store.set({ seenRange: now });
  }
}

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 * @param {import("../sources.js").Sources} sources
 */
export const mount = (root, store, sources) => new LayerView(root, store, sources);

const shownUnit = ({ pointed, channel, unit }) =>
  pointed ?? (unit === null ? null : { channel, unit });

/** The maps of the chosen layer, also while they are fetched for another input; null if they are another layer's. */
const mapsOf = ({ maps, layer }) => (maps.value?.layer === layer ? maps.value : null);

function captionOf(channels, units) {
  if (units === 1)
    return channels === 1 ? "One number." : `${channels} numbers, one for each channel.`;
  return channels === 1
    ? "One map."
    : `${channels} maps, one for each channel. Point at a unit to see what it sees.`;
}

const whoseMap = (maps, { channel }) =>
  maps.length === 1
    ? WHOSE.layer
    : `each map by its own range, here channel ${maps.numbers[channel]}`;

/** The unit, if these maps have it: another view may still speak of the former layer. */
function fitting(found, { channels, size }) {
  if (!found || !(found.channel < channels) || found.unit?.length !== size.length) return null;
  return found.unit.every((index, axis) => index < size[axis]) ? found : null;
}

function litUnits({ pixel, pixelOn, fields }, maps) {
  const key = pixelOn === "picture" ? "picture" : "clipped";
  if (pixel === null || !fields.value?.axes.every((axis) => axis[key])) return null;
  return seeing(fields.value, pixel, maps.size, key) ?? "none";
}

/** Of which size the maps will be, from what the API lists; an open length counts as 1. */
function expected({ output_shape: shape, channel_axis: axis }) {
  const size = shape.filter((_, each) => each !== axis).map((length) => length ?? 1);
  return { size, channels: axis === null ? 1 : (shape[axis] ?? 1) };
}
