/** The input, and on it what a unit sees. */

import * as api from "../api.js";
import { failure } from "../dom.js";
import { drawnOn, seeing, seenBy } from "../fields.js";
import { createPage } from "./picture/page.js";
import { asMaps, asPicture, decoded } from "./picture/shown.js";
import { eachFrame } from "../store.js";
import { seenInWords, sentence } from "./picture/words.js";

const SETTLED = ["ready", "failed"];

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 * @param {import("../sources.js").Sources} sources
 */
export function mount(root, store, sources) {
  const { state } = store;
  const page = createPage(root, (on) => wish(on));
  /** What is loaded: {input, model, blob, posted: ImageBitmap | null, given: Tensor | ImageBitmap | null}. */
  let loaded = null;
  /** What is on the page: {loaded, on, rank, size, paint}. It stays until another is ready. */
  let shown = null;
  /** The table that belongs to it. */
  let table = null;
  let wished = "picture";
  let controller = new AbortController();

  function wish(on) {
    wished = on;
    load();
  }

  async function load() {
    controller.abort();
    controller = new AbortController();
    const { signal } = controller;
    const { input, model, given } = state;
    if (input === null || given === null) return;
    try {
      const found = await loadedInput(
        loaded,
        { input, model, blob: given.blob, name: given.name },
        wished,
        signal,
      );
      if (signal.aborted) return;
      loaded = found;
      page.fail(null);
      adopt();
    } catch (error) {
      if (!signal.aborted) page.fail(failure(error, load));
    }
  }

  /** Show what is loaded once its table is here too, so that both always belong together. */
  function adopt() {
    const { fields } = state;
    if (loaded === null || loaded.input !== state.input || !SETTLED.includes(fields.status)) return;
    if (fields.status === "ready" && fields.value.input !== loaded.input) return;
    table = fields.value;
    const next = asShown(loaded, wished, table);
    if (next.key !== shown?.key) {
      shown = next;
      page.show(next);
      listen(page.painter.target);
      repaint();
    }
    update();
  }

  /** Where nothing is given any more nothing is shown; otherwise the old, paler, until the new is there. */
  function wait({ input, given, prediction }) {
    if (input === null && given === null) shown = loaded = null;
    page.wait(shown !== null, prediction.status === "loading", input === null);
  }

  const repaint = eachFrame(() => {
    if (shown) page.paint(shown);
  });

  const update = eachFrame(() => {
    if (shown === null) return;
    const { fields, layers, layer, pixel, pixelOn } = state;
    const unit = chosen(state);
    const pointed = pixelOn === shown.on ? pixel : null;
    if (fields.status === "failed") {
      page.mark({ solid: null, whole: null, pixel: pointed }, null, null);
      page.tell(
        "Which pixels a unit of this layer sees cannot be worked out: " + fields.error.message,
      );
      return;
    }
    if (fields.status !== "ready" || table !== fields.value || unit === null) return;
    const seen = seenBy(table, unit.position);
    const drawn = drawnOn(table, seen, shown.on);
    page.mark({ ...drawn, pixel: pointed }, seen, { ...unit, layer: layers.value[layer], table });
    page.tell(
      pointed
        ? pixelSentence(pointed)
        : sentence(table, seen, layers.value[layer], drawn.solid === null),
    );
  });

  function pixelSentence(pixel) {
    const size = state.maps.value?.size ?? [];
    return seenInWords(
      pixel,
      seeing(table, pixel, size, shown.on === "picture" ? "picture" : "clipped"),
      size,
    );
  }

  function point(pixel) {
    const now = state.pixel;
    if (String(pixel) !== String(now)) sources.pointAtPixel(pixel, pixel && shown.on);
  }

  function listen(target) {
    if (target.dataset.heard) return;
    target.dataset.heard = "yes";
    target.addEventListener("pointermove", (event) => point(page.painter.pixelAt(event)));
    target.addEventListener("pointerdown", (event) => point(page.painter.pixelAt(event)));
    target.addEventListener("pointerleave", () => point(null));
    target.addEventListener("blur", () => point(null));
    target.addEventListener("keydown", (event) => {
      if (event.key === "Escape") point(null);
      const steps = {
        ArrowLeft: [-1, -1],
        ArrowRight: [-1, 1],
        ArrowUp: [-2, -1],
        ArrowDown: [-2, 1],
      }[event.key];
      if (!steps || shown === null) return;
      event.preventDefault();
      point(stepped(event.shiftKey, ...steps));
    });
  }

  function stepped(large, axis, way) {
    const { size, on } = shown;
    const start = state.pixelOn === on && state.pixel ? state.pixel : middle();
    const place = size.length + axis;
    if (place < 0) return start;
    const step = Math.max(1, Math.round(size[place] / (large ? 10 : 100)));
    const moved = Math.min(Math.max(start[place] + way * step, 0), size[place] - 1);
    return start.with(place, moved);
  }

  /** Where a pixel begins to move: in the middle of what is outlined. */
  function middle() {
    const unit = chosen(state);
    const { solid } =
      unit && table ? drawnOn(table, seenBy(table, unit.position), shown.on) : { solid: null };
    return shown.size.map((length, axis) =>
      Math.floor(solid ? (solid[axis][0] + solid[axis][1]) / 2 : length / 2),
    );
  }

  store.on(["input"], load);
  store.on(["input", "prediction", "given"], wait);
  store.on(["fields"], adopt);
  store.on(["pointed", "channel", "unit", "pixel", "pixelOn", "maps", "fields", "layers"], update);
  store.on(["theme"], () => requestAnimationFrame(() => repaint()));
  new ResizeObserver(repaint).observe(page.host);
}

/** The unit to show, and its value; null while there is none, or if the layer's map is another by now. */
function chosen({ pointed, channel, unit, maps, layer }) {
  const { channel: of, unit: position } = pointed ?? { channel, unit };
  if (position === null || position === undefined || maps.value?.layer !== layer) return null;
  return { channel: of, position, value: maps.value.at(of, position) };
}

/** Fetch and decode what is not there yet. */
async function loadedInput(before, wanted, wished, signal) {
  const same = before?.input === wanted.input && before.model === wanted.model;
  const posted = same ? before.posted : await decoded(wanted.blob);
  const found = { ...wanted, posted, given: same ? before.given : null };
  if (found.given === null && (posted === null || wished === "source")) {
    const given = await api.networkView(wanted.model, wanted.input, signal);
    found.given = given instanceof Blob ? await decoded(given) : given;
  }
  return found;
}

/** Numbers are shown as the network is given them; a picture as posted, if the browser can and that is wished. */
function asShown({ input, model, posted, given }, wished, table) {
  const sizes = table?.axes.map((axis) => axis.size) ?? null;
  const on = posted !== null && (wished === "picture" || given === null) ? "picture" : "source";
  const key = [model, input, on, sizes?.join(), table?.axes.map((axis) => axis.frame)].join(" ");
  const about = {
    key,
    on,
    choice: posted !== null,
    readable: posted !== null || given?.shape !== undefined,
  };
  if (on === "picture") return { ...about, ...pictured(posted, frameOf(table, posted)) };
  if (given.shape === undefined) return { ...about, ...pictured(given, null) };
  const maps = asMaps(given, sizes);
  const rank = Math.min(Math.max(maps.size.length, 1), 3);
  return {
    ...about,
    ...(rank === 2 ? pictured(asPicture(maps), null) : { rank, size: maps.size, content: maps }),
  };
}

function pictured(image, frame) {
  const size = [image.height, image.width];
  return { rank: 2, size, content: { image, size, frame } };
}

/** Where the network's input lies in the picture, unless it is the whole of it. */
function frameOf(table, { height, width }) {
  const frame = table?.axes.map((axis) => axis.frame) ?? [];
  if (frame.length !== 2 || frame.some((each) => !each)) return null;
  const size = [height, width];
  const whole = frame.every(
    ([start, stop], axis) => Math.abs(start) < 0.5 && Math.abs(stop - size[axis]) < 0.5,
  );
  return whole ? null : frame;
}
