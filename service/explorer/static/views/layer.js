/** The chosen layer: all its maps at once, one of them enlarged, and the unit under the pointer. */

import { element, failure, short } from "../dom.js";
import { EnlargedView, movedBy } from "./layer/enlarged.js";
import { createHead } from "./layer/head.js";
import { Tools } from "./layer/tools.js";
import { createLegend } from "./layer/legend.js";
import { createRunningRange, keepColours, scalesFor } from "../ranges.js";
import { noticesOf } from "./layer/notices.js";
import { SliceSlider } from "./layer/slice_slider.js";
import { createReadout, createStrongest, unitInWords } from "./layer/readout.js";
import { MapSheet } from "./layer/sheet.js";
import { chosenLayer } from "../state.js";
import { eachFrame } from "../store.js";
import { orderOf, statisticsOf } from "../statistics.js";
import { expected, fitting, litUnits, mapsOf, shownUnit } from "./layer/shown.js";
import { captionOf, labelsOf, valueInWords, whoseRange } from "./layer/text.js";

class LayerView {
  #root;
  #store;
  #actions;
  #runningRange = createRunningRange();
  /** @type {"number" | "largest"} */
  #sort = "number";
  #slice = 0;
  /**
   * What is painted: null while there is nothing.
   * @type {import("./layer/tiles.js").Contents & Record<string, any> | null}
   */
  #contents = null;
  /** @type {number | null} */
  #enlargedChannel = null;
  #head;
  #sheet = new MapSheet({
    onPoint: (unit) => this.#point(unit),
    onChoose: (unit) => this.#choose(unit),
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
    onPoint: (unit) => this.#point(unit),
    onChoose: (unit) => this.#choose(unit),
  });
  #legend = createLegend();
  #tools;
  #slices = new SliceSlider((slice) => this.#showSlice(slice));
  #caption = element("p", { class: "soft small" });
  #notice = element("div", { class: "layer-notice" });
  #announced = element("p", { class: "unseen", "aria-live": "polite" });
  #body;

  /**
   * @param {HTMLElement} root
   * @param {import("../store.js").Store} store
   * @param {import("../actions.js").Actions} actions
   */
  constructor(root, store, actions) {
    this.#root = root;
    this.#store = store;
    this.#actions = actions;
    this.#head = createHead((index) => actions.chooseLayer(index));
    this.#tools = new Tools(store, {
      onSort: (by) => this.#sortBy(by),
      picture: () => this.#sheet.picture(),
      onFailure: (error) => this.#notice.replaceChildren(failure(error)),
    });
    const frame = element("div", { class: "layer-frame" }, this.#enlarged.element);
    const single = element(
      "div",
      { class: "layer-single" },
      frame,
      this.#slices.element,
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
    store.on(["maps"], (state) => this.#noteRange(state));
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
      this.#actions.point(found);
  }

  #choose({ channel, unit }) {
    return this.#actions.chooseUnit(channel, unit);
  }

  #sortBy(by) {
    this.#sort = by;
    this.#show();
    this.#sheet.toTop();
  }

  #showSlice(wanted) {
    const last = (this.#contents?.maps.size[0] ?? 1) - 1;
    const next = Math.min(Math.max(wanted, 0), last);
    if (next === this.#slice) return;
    this.#slice = next;
    this.#show();
  }

  #moveUnit(event) {
    const {
      scene: { maps },
      channel,
      unit,
    } = this.#store.state;
    if (!this.#contents || unit === null || this.#contents.maps !== maps.value) return;
    const paging = { PageUp: -1, PageDown: 1 }[event.key];
    const place = this.#contents.order.indexOf(channel ?? 0) + (paging ?? 0);
    const to = paging
      ? { channel: this.#contents.order[place] ?? channel, unit }
      : { channel, unit: movedBy(event, unit, this.#contents.maps.size) };
    if (to.unit === null) return;
    event.preventDefault();
    this.#choose(to);
  }

  #show() {
    const { state } = this.#store;
    const layer = chosenLayer(state);
    this.#root.hidden = !layer;
    if (!layer) return;
    const maps = mapsOf(state);
    const { size, channels } = maps ?? expected(layer);
    const units = size.reduce((product, each) => product * each, 1);
    this.#head.show(state.layers.value ?? [], layer.index);
    this.#showWaiting(maps, units);
    const retry = () => this.#actions.retry();
    this.#notice.replaceChildren(...noticesOf(state, maps, retry));
    const before = this.#contents;
    this.#contents = maps && this.#contentsOf(maps, state);
    this.#slices.show(size, this.#slice);
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
    this.#root.dataset.layer = maps ? String(state.scene.layer) : "";
    if (!same) this.#enlargedChannel = null;
    if (maps === null) {
      this.#readout.clear();
      this.#enlarged.show(null, size);
    } else if (before?.maps !== maps) {
      this.#strongest.show(maps, statisticsOf(maps), this.#contents?.labels ?? null);
      this.#strongest.mark(state.channel, state.unit);
    }
    this.#strongest.element.classList.toggle("layer-unknown", maps === null);
    this.#showUnit();
  }

  /** Whether there is anything, whether it is old, and room for what will come. */
  #showWaiting(maps, units) {
    const { scene, prediction } = this.#store.state;
    const loading = scene.maps.status === "loading";
    const { classList } = this.#body;
    this.#body.hidden = maps === null && !loading && prediction.status !== "loading";
    classList.toggle("stale", maps !== null && loading);
    classList.toggle("layer-waiting", maps === null);
    classList.toggle("layer-dense", units === 1);
  }

  /** The same object as long as nothing changes that is painted. */
  #contentsOf(maps, state) {
    this.#slice = Math.min(this.#slice, (maps.size.length > 2 ? maps.size[0] : 1) - 1);
    const { colours } = state;
    const range = colours.scaling === "all" ? state.seenRange : null;
    const made = { maps, slice: this.#slice, sort: this.#sort, colours, range };
    if (
      this.#contents &&
      Object.entries(made).every(([key, value]) => this.#contents?.[key] === value)
    )
      return this.#contents;
    const order = orderOf(statisticsOf(maps), this.#sort);
    return {
      ...made,
      order,
      labels: labelsOf(state, maps),
      scaleOf: scalesFor(maps, colours, range),
    };
  }

  #paletteKind(maps, size) {
    if (size.length === 1 && !size.every((length) => length === 1)) return null;
    return maps && this.#contents && this.#contents.scaleOf(0).low < 0 ? "diverging" : "sequential";
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
    this.#readout.show(maps, statisticsOf(maps), shown, labels);
    const unitText = `${unitInWords(maps, shown, labels)}: ${valueInWords(maps.at(shown.channel, shown.unit), short)}`;
    this.#enlarged.element.setAttribute("aria-label", `${unitText}. Arrow keys move the unit.`);
    const lines = maps.size.length === 1 && maps.length > 1;
    this.#legend.show(
      scaleOf(shown.channel),
      whoseRange(state.colours.scaling, maps, shown.channel),
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

  #noteRange({ scene: { maps, model, layer } }) {
    if (maps.status !== "ready" || maps.value.layer !== layer) return;
    const now = this.#runningRange(model, maps.value);
    if (String(now) !== String(this.#store.state.seenRange)) this.#store.set({ seenRange: now });
  }
}

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 * @param {import("../actions.js").Actions} actions
 */
export const mount = (root, store, actions) => new LayerView(root, store, actions);
