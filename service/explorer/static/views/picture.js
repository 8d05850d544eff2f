/** The input, and on it what a unit sees. */

import * as api from "../api.js";
import { failure } from "../dom.js";
import { drawnOn, seeing, seenBy } from "../fields.js";
import { Page } from "./picture/page.js";
import { asMaps, asPicture, decoded } from "./picture/shown.js";
import { chosenLayer } from "../state.js";
import { eachFrame } from "../store.js";
import { seenInWords, sentence } from "./picture/text.js";

const SETTLED = new Set(["ready", "failed"]);

/**
 * @typedef {object} LoadedInput
 * @property {string} input
 * @property {string | null} model
 * @property {Blob} blob
 * @property {ImageBitmap | null} posted As the browser reads it.
 * @property {any} given What the network is given: a tensor or a picture; null while it is not
 *   needed.
 */

class PictureView {
  #actions;
  #state;
  #page;
  /**
   * What is loaded: {input, model, blob, posted: ImageBitmap | null, given: Tensor | ImageBitmap |
   * null}.
   * @type {LoadedInput | null}
   */
  #loaded = null;
  /**
   * What is on the page: {loaded, on, rank, size, paint}. It stays until another is ready.
   * @type {any}
   */
  #shown = null;
  /**
   * The table that belongs to it.
   * @type {import("../state.js").FieldTables | null}
   */
  #table = null;
  #wished = "picture";
  #controller = new AbortController();
  #repaint = eachFrame(() => {
    if (this.#shown) this.#page.paint(this.#shown);
  });
  #update = eachFrame(() => {
    if (this.#shown === null) return;
    const { scene, pixel, pixelOn } = this.#state;
    const { fields } = scene;
    const unit = chosen(this.#state);
    const pointed = pixelOn === this.#shown.on ? pixel : null;
    if (fields.status === "failed") {
      this.#page.mark({ solid: null, whole: null, pixel: pointed }, null, null);
      this.#page.tell(
        "Which pixels a unit of this layer sees cannot be worked out: " + fields.error.message,
      );
      return;
    }
    const layer = chosenLayer(this.#state);
    if (fields.status !== "ready" || this.#table !== fields.value || unit === null) return;
    if (this.#table === null || layer === null) return;
    const seen = seenBy(this.#table, unit.position);
    const drawn = drawnOn(this.#table, seen, this.#shown.on);
    this.#page.mark({ ...drawn, pixel: pointed }, seen, {
      ...unit,
      layer,
      table: this.#table,
    });
    this.#page.tell(
      pointed
        ? this.#pixelSentence(pointed)
        : sentence(this.#table, seen, layer, drawn.solid === null),
    );
  });

  /**
   * @param {HTMLElement} root
   * @param {import("../store.js").Store} store
   * @param {import("../actions.js").Actions} actions
   */
  constructor(root, store, actions) {
    this.#actions = actions;
    this.#state = store.state;
    this.#page = new Page(root, (on) => this.#wish(on));
    store.on(["input"], () => this.#load());
    store.on(["input", "prediction", "given"], (state) => this.#wait(state));
    store.on(["fields"], () => this.#adopt());
    store.on(
      ["pointed", "channel", "unit", "pixel", "pixelOn", "maps", "fields", "layers"],
      this.#update,
    );
    store.on(["theme"], () => requestAnimationFrame(() => this.#repaint()));
    new ResizeObserver(this.#repaint).observe(this.#page.host);
  }

  #wish(on) {
    this.#wished = on;
    this.#load();
  }

  async #load() {
    this.#controller.abort();
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    const {
      scene: { input, model },
      given,
    } = this.#state;
    if (input === null || given === null) return;
    try {
      const loaded = await loadedInput(
        this.#loaded,
        { input, model, blob: given.blob, name: given.name },
        this.#wished,
        signal,
      );
      if (signal.aborted) return;
      this.#loaded = loaded;
      this.#page.fail(null);
      this.#adopt();
    } catch (error) {
      if (!signal.aborted) this.#page.fail(failure(error, () => this.#load()));
    }
  }

  /** Show what is loaded once its table is here too, so that both always belong together. */
  #adopt() {
    const {
      scene: { fields },
    } = this.#state;
    if (
      this.#loaded === null ||
      this.#loaded.input !== this.#state.scene.input ||
      !SETTLED.has(fields.status)
    )
      return;
    if (fields.status === "ready" && fields.value?.input !== this.#loaded.input) return;
    this.#table = fields.value;
    const next = asShown(this.#loaded, this.#wished, this.#table);
    if (next.key !== this.#shown?.key) {
      this.#shown = next;
      this.#page.show(next);
      this.#listen(this.#page.painter.target);
      this.#repaint();
    }
    this.#update();
  }

  /**
   * Where nothing is given any more nothing is shown; otherwise the old, paler, until the new is
   * there.
   */
  #wait({ scene: { input }, given, prediction }) {
    if (input === null && given === null) this.#shown = this.#loaded = null;
    this.#page.wait(this.#shown !== null, prediction.status === "loading", input === null);
  }

  #pixelSentence(pixel) {
    const size = this.#state.scene.maps.value?.size ?? [];
    if (this.#table === null) return "";
    return seenInWords(
      pixel,
      seeing(this.#table, pixel, size, this.#shown.on === "picture" ? "picture" : "clipped"),
      size,
    );
  }

  #point(pixel) {
    const now = this.#state.pixel;
    if (String(pixel) !== String(now)) this.#actions.pointAtPixel(pixel, pixel && this.#shown.on);
  }

  #listen(target) {
    if (target.dataset.heard) return;
    target.dataset.heard = "yes";
    target.addEventListener("pointermove", (event) =>
      this.#point(this.#page.painter.pixelAt(event)),
    );
    target.addEventListener("pointerdown", (event) =>
      this.#point(this.#page.painter.pixelAt(event)),
    );
    target.addEventListener("pointerleave", () => this.#point(null));
    target.addEventListener("blur", () => this.#point(null));
    target.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#point(null);
      const steps = {
        ArrowLeft: [-1, -1],
        ArrowRight: [-1, 1],
        ArrowUp: [-2, -1],
        ArrowDown: [-2, 1],
      }[event.key];
      if (!steps || this.#shown === null) return;
      event.preventDefault();
      this.#point(this.#stepped(event.shiftKey, ...steps));
    });
  }

  #stepped(large, axis, way) {
    const { size, on } = this.#shown;
    const start =
      this.#state.pixelOn === on && this.#state.pixel ? this.#state.pixel : this.#middle();
    const place = size.length + axis;
    if (place < 0) return start;
    const step = Math.max(1, Math.round(size[place] / (large ? 10 : 100)));
    const moved = Math.min(Math.max(start[place] + way * step, 0), size[place] - 1);
    return start.with(place, moved);
  }

  /** Where a pixel begins to move: in the middle of what is outlined. */
  #middle() {
    const unit = chosen(this.#state);
    const { solid } =
      unit && this.#table
        ? drawnOn(this.#table, seenBy(this.#table, unit.position), this.#shown.on)
        : { solid: null };
    return this.#shown.size.map((length, axis) =>
      Math.floor(solid ? (solid[axis][0] + solid[axis][1]) / 2 : length / 2),
    );
  }
}

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 * @param {import("../actions.js").Actions} actions
 */
export const mount = (root, store, actions) => new PictureView(root, store, actions);

/**
 * The unit to show, and its value; null while there is none, or if the layer's map is another by
 * now.
 */
function chosen({ scene: { maps, layer }, pointed, channel, unit }) {
  const { channel: of, unit: position } = pointed ?? { channel, unit };
  if (position === null || position === undefined || maps.value?.layer !== layer) return null;
  return { channel: of, position, value: maps.value.at(of, position) };
}

/**
 * Fetch and decode what is not there yet.
 * @returns {Promise<LoadedInput>}
 */
async function loadedInput(before, wanted, wished, signal) {
  const same = before?.input === wanted.input && before.model === wanted.model;
  const posted = same ? before.posted : await decoded(wanted.blob);
  const loaded = { ...wanted, posted, given: same ? before.given : null };
  if (loaded.given === null && (posted === null || wished === "source")) {
    const given = await api.networkView(wanted.model, wanted.input, signal);
    loaded.given = given instanceof Blob ? await decoded(given) : given;
  }
  return loaded;
}

/**
 * Numbers are shown as the network is given them; a picture as posted, if the browser can and that
 * is wished.
 */
function asShown({ input, model, posted, given }, wished, table) {
  const sizes = table?.axes.map((axis) => axis.size) ?? null;
  const on = posted !== null && (wished === "picture" || given === null) ? "picture" : "source";
  const frames = table?.axes.map((axis) => axis.frame);
  const key = [model, input, on, sizes?.join(), frames].join(" ");
  const readable = posted !== null || given?.shape !== undefined;
  const about = { key, on, choice: posted !== null, readable };
  if (on === "picture") return { ...about, ...pictured(posted, frameOf(table, posted)) };
  if (given.shape === undefined) return { ...about, ...pictured(given, null) };
  return { ...about, ...numbered(asMaps(given, sizes)) };
}

/** Numbers as a picture, or as maps of one or three axes. */
function numbered(maps) {
  const rank = Math.min(Math.max(maps.size.length, 1), 3);
  return rank === 2 ? pictured(asPicture(maps), null) : { rank, size: maps.size, content: maps };
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
