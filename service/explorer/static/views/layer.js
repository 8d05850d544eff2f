/** The chosen layer: all its maps at once, one of them enlarged, and the unit under the pointer. */

import { element, failure, short } from "../dom.js";
import { createEnlarged, movedBy } from "./layer/enlarged.js";
import { seeing } from "../fields.js";
import { createHead } from "./layer/head.js";
import { createTools } from "./layer/tools.js";
import { createLegend } from "./layer/legend.js";
import { createRunningRange, keepColours, scalesFor } from "../ranges.js";
import { createReadout, createStrongest, unitInWords } from "./layer/readout.js";
import { createSheet } from "./layer/sheet.js";
import { eachFrame } from "../store.js";
import { orderOf, surveyOf } from "../survey.js";
import { labelsOf, valueInWords } from "./layer/words.js";

const WHOSE = { layer: "the whole layer", all: "all layers shown so far for this input" };

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 * @param {import("../sources.js").Sources} sources
 */
export function mount(root, store, sources) {
  store.set({ seenRange: null });
  const runningRange = createRunningRange();
  let [sort, slice] = ["number", 0];
  /** What is painted: null while there is nothing. */
  let contents = null;
  let enlargedChannel = null;

  const point = (found) => {
    const { pointed } = store.state;
    if (found?.channel !== pointed?.channel || String(found?.unit) !== String(pointed?.unit))
      sources.point(found);
  };
  const choose = ({ channel, unit }) => sources.chooseUnit(channel, unit);
  const shownUnit = ({ pointed, channel, unit }) =>
    pointed ?? (unit === null ? null : { channel, unit });

  const head = createHead(sources.chooseLayer);
  const sheet = createSheet({ onPoint: point, onChoose: choose });
  const enlarged = createEnlarged({
    // Not the channel that it shows: that may still be one that was pointed at in the sheet.
    onPoint: (unit) => point(unit && { channel: store.state.channel, unit }),
    onChoose: (unit) => choose({ channel: store.state.channel, unit }),
    onSlice: (step) => showSlice(slice + step),
    onKey: moveUnit,
  });
  const readout = createReadout();
  const strongest = createStrongest({ onPoint: point, onChoose: choose });
  const legend = createLegend();
  const onFailure = (error) => notice.replaceChildren(failure(error));
  const tools = createTools(store, { onSort: sortBy, picture: sheet.picture, onFailure });
  const depth = element("input", { type: "range", min: 0, step: 1, id: "layer-slice" });
  const depthSaid = element("span", { class: "number small" });
  const depthLabel = element("label", { for: "layer-slice", class: "small soft" }, "Slice");
  const slices = element("div", { class: "layer-slices" }, depthLabel, depth, depthSaid);
  const caption = element("p", { class: "soft small" });
  const notice = element("div", { class: "layer-notice" });
  const announced = element("p", { class: "unseen", "aria-live": "polite" });
  const frame = element("div", { class: "layer-frame" }, enlarged.element);
  const single = element(
    "div",
    { class: "layer-single" },
    frame,
    slices,
    readout.element,
    legend.element,
  );
  const many = element("div", { class: "layer-many" }, caption, sheet.element, strongest.element);
  const body = element("div", { class: "layer-body" }, single, many);
  root.append(head.element, tools.element, notice, body, announced);

  function sortBy(by) {
    sort = by;
    show();
    sheet.toTop();
  }

  function showSlice(wanted) {
    const last = (contents?.maps.size[0] ?? 1) - 1;
    const found = Math.min(Math.max(wanted, 0), last);
    if (found === slice) return;
    slice = found;
    show();
  }

  function moveUnit(event) {
    const { channel, unit, maps } = store.state;
    if (!contents || unit === null || contents.maps !== maps.value) return;
    const paging = { PageUp: -1, PageDown: 1 }[event.key];
    const place = paging && contents.order.indexOf(channel) + paging;
    const to = paging
      ? { channel: contents.order[place] ?? channel, unit }
      : { channel, unit: movedBy(event, unit, contents.maps.size) };
    if (to.unit === null) return;
    event.preventDefault();
    choose(to);
  }

  /** The maps of the chosen layer, also while they are fetched for another input; null if they are another layer's. */
  const mapsOf = ({ maps, layer }) => (maps.value?.layer === layer ? maps.value : null);

  function show() {
    const { state } = store;
    const layer = state.layers.value?.[state.layer];
    root.hidden = !layer;
    if (!layer) return;
    const maps = mapsOf(state);
    const { size, channels } = maps ?? expected(layer);
    const units = size.reduce((product, each) => product * each, 1);
    head.show(state.layers.value, state.layer);
    const quiet =
      maps === null && state.maps.status !== "loading" && state.prediction.status !== "loading";
    body.hidden = quiet;
    body.classList.toggle("stale", maps !== null && state.maps.status === "loading");
    body.classList.toggle("layer-waiting", maps === null);
    body.classList.toggle("layer-dense", units === 1);
    notice.replaceChildren(...words(state, maps));
    const before = contents;
    contents = maps && contentsOf(maps, state);
    showDepth(size);
    const same = contents === before;
    tools.show({
      kind: paletteKind(maps, size),
      several: channels > 1,
      single: units === 1,
      there: maps !== null,
    });
    caption.textContent = captionOf(channels, units);
    sheet.element.setAttribute(
      "aria-label",
      `${caption.textContent} Arrow keys choose among them.`,
    );
    sheet.show(contents, size, channels);
    root.dataset.layer = maps ? String(state.layer) : "";
    if (!same) enlargedChannel = null;
    if (maps === null) {
      readout.clear();
      enlarged.show(null, size);
    } else if (before?.maps !== maps) {
      strongest.show(maps, surveyOf(maps), contents.labels);
      strongest.mark(state.channel, state.unit);
    }
    strongest.element.classList.toggle("layer-unknown", maps === null);
    showUnit();
  }

  /** The same object as long as nothing changes that is painted. */
  function contentsOf(maps, state) {
    slice = Math.min(slice, (maps.size.length > 2 ? maps.size[0] : 1) - 1);
    const { colours } = state;
    const range = colours.scaling === "all" ? state.seenRange : null;
    const made = { maps, slice, sort, colours, range };
    if (contents && Object.entries(made).every(([key, value]) => contents[key] === value))
      return contents;
    const order = orderOf(surveyOf(maps), sort);
    return {
      ...made,
      order,
      labels: labelsOf(state, maps),
      scaleOf: scalesFor(maps, colours, range),
    };
  }

  function showDepth(size) {
    slices.hidden = size.length < 3 || size[0] < 2;
    if (slices.hidden) return;
    depth.max = String(size[0] - 1);
    depth.value = String(slice);
    depthSaid.textContent = `${slice} of 0–${size[0] - 1}`;
  }

  function paletteKind(maps, size) {
    if (size.length === 1 && !size.every((length) => length === 1)) return null;
    return maps && contents.scaleOf(0).low < 0 ? "diverging" : "sequential";
  }

  function captionOf(channels, units) {
    if (units === 1)
      return channels === 1 ? "One number." : `${channels} numbers, one for each channel.`;
    return channels === 1
      ? "One map."
      : `${channels} maps, one for each channel. Point at a unit to see what it sees.`;
  }

  function words({ maps: { status, error }, input, prediction, fields }, maps) {
    if (status === "failed") return [failure(error, sources.retry)];
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
  function showUnit() {
    const { state } = store;
    if (contents === null || state.unit === null || contents.maps !== mapsOf(state)) return;
    const { maps, labels, scaleOf } = contents;
    const shown = fitting(shownUnit(state), maps) ?? { channel: 0, unit: maps.size.map(() => 0) };
    const chosen = fitting({ channel: state.channel, unit: state.unit }, maps);
    const lit = litUnits(state, maps);
    if (shown.channel !== enlargedChannel) {
      enlargedChannel = shown.channel;
      const map = {
        values: maps.map(shown.channel),
        size: maps.size,
        slice,
        scale: scaleOf(shown.channel),
      };
      enlarged.show(maps.length > 1 ? map : null, maps.size);
    }
    readout.show(maps, surveyOf(maps), shown, labels);
    const told = `${unitInWords(maps, shown, labels)}: ${valueInWords(maps.at(shown.channel, shown.unit), short)}`;
    enlarged.element.setAttribute("aria-label", `${told}. Arrow keys move the unit.`);
    const lines = maps.size.length === 1 && maps.length > 1;
    legend.show(
      scaleOf(shown.channel),
      WHOSE[state.colours.scaling] ?? whoseMap(maps, shown),
      lines,
    );
    Object.assign(root.dataset, { lit: JSON.stringify(lit), pixel: JSON.stringify(state.pixel) });
    sheet.mark({ pointed: state.pointed && shown, chosen, lit });
    enlarged.mark({
      unit: shown.unit,
      chosen: chosen?.channel === shown.channel ? chosen.unit : null,
      lit,
    });
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

  function followUnit({ unit, channel }) {
    if (contents === null || unit === null) return;
    strongest.mark(channel, unit);
    if (contents.maps.size.length > 2 && unit.length === contents.maps.size.length)
      showSlice(unit[0]);
    if (root.contains(document.activeElement) && fitting({ channel, unit }, contents.maps)) {
      const { maps, labels } = contents;
      const value = valueInWords(maps.at(channel, unit), short);
      announced.textContent = `${unitInWords(maps, { channel, unit }, labels)}: ${value}`;
    }
  }

  function noteRange({ maps, model, layer }) {
    if (maps.status !== "ready" || maps.value.layer !== layer) return;
    const now = runningRange(model, maps.value);
    if (String(now) !== String(store.state.seenRange)) store.set({ seenRange: now });
  }

  depth.addEventListener("input", () => showSlice(Number(depth.value)));
  store.on(["maps"], noteRange);
  store.on(["colours"], ({ colours }) => keepColours(colours));
  store.on(
    ["maps", "layers", "layer", "colours", "seenRange", "input", "prediction", "fields"],
    eachFrame(show),
  );
  store.on(["theme"], () => {
    sheet.repaint();
    enlarged.repaint();
  });
  store.on(["pointed", "channel", "unit", "pixel", "pixelOn"], eachFrame(showUnit));
  store.on(
    ["channel", "unit", "maps"],
    eachFrame(() => followUnit(store.state)),
  );
  new ResizeObserver(eachFrame(enlarged.repaint)).observe(single);
}

/** Of which size the maps will be, from what the API lists; an open length counts as 1. */
function expected({ output_shape: shape, channel_axis: axis }) {
  const size = shape.filter((_, each) => each !== axis).map((length) => length ?? 1);
  return { size, channels: axis === null ? 1 : (shape[axis] ?? 1) };
}
