/** The layers from input to output as a strip of cards, branches drawn as branches. */

import { MARGIN, Board } from "./strip/board.js";
import { element, failure } from "../dom.js";
import { showAnswer } from "./strip/ends.js";
import { createFinder } from "./strip/finder.js";
import { Thumbnails } from "./strip/glances.js";
import { Minimap } from "./strip/skyline.js";

/** From how many layers on there is a search field and an overview. */
const MANY = 15;
const REST_MS = 150;

class LayerListView {
  #root;
  #store;
  #sources;
  #head = element("div", { class: "head strip-head" });
  #scroller = element("div", { class: "strip-scroller" });
  #body = element("div", { class: "strip-body" });
  #glances;
  /** @type {Board | null} */
  #built = null;
  /** @type {Minimap | null} */
  #skyline = null;
  #moving = 0;

  /**
   * @param {HTMLElement} root
   * @param {import("../store.js").Store} store
   * @param {import("../sources.js").Sources} sources
   */
  constructor(root, store, sources) {
    this.#root = root;
    this.#store = store;
    this.#sources = sources;
    root.append(this.#head, this.#body);
    this.#glances = new Thumbnails(store, this.#scroller);
    this.#scroller.addEventListener("keydown", (event) => this.#steer(event));
    this.#scroller.addEventListener("click", (event) => {
      const card = event.target.closest("[data-index]");
      if (!card) return;
      this.#rove(Number(card.dataset.index));
      card.focus({ preventScroll: true });
      this.#sources.chooseLayer(Number(card.dataset.index));
    });
    store.on(["layers", "models"], (value) => this.#show(value));
    store.on(["layer"], (value) => this.#choose(value));
    store.on(
      ["prediction"],
      ({ prediction }) => this.#built && showAnswer(this.#built.output, prediction),
    );
  }

  #show({ layers, models }) {
    if (layers.status === "ready" && this.#built?.layers === layers.value) return;
    this.#skyline?.end();
    this.#skyline = null;
    this.#built = null;
    this.#glances.clear();
    clearTimeout(this.#moving);
    this.#head.replaceChildren(element("h2", {}, "Layers"));
    if (layers.status === "failed")
      this.#body.replaceChildren(failure(layers.error, () => this.#sources.describeModel()));
    else if (layers.status === "idle" && models.value?.models.length === 0)
      this.#say("No model, no layers.");
    else if (layers.status !== "ready") this.#say("Loading the layers…");
    else if (layers.value.length === 0) this.#say("This network has no layer that can be shown.");
    else this.#draw(layers.value);
  }

  #say(text) {
    return this.#body.replaceChildren(element("p", { class: "soft strip-waiting" }, text));
  }

  #draw(layers) {
    this.#built = new Board(layers);
    this.#scroller.replaceChildren(this.#built.node);
    this.#scroller.scrollTo({ left: 0, top: 0, behavior: "instant" });
    if (layers.length > MANY) {
      this.#head.append(
        createFinder(
          layers,
          (index) => this.#go(index),
          (found) => this.#mark(found),
        ).node,
      );
      this.#skyline = new Minimap(this.#scroller, this.#built, (index) =>
        this.#sources.chooseLayer(index),
      );
    }
    this.#head.append(element("p", { class: "soft small" }, captionOf(layers)));
    this.#body.replaceChildren(...[this.#skyline?.node, this.#scroller].filter(Boolean));
    for (const glance of this.#built.glances) this.#glances.add(glance);
    showAnswer(this.#built.output, this.#store.state.prediction);
    this.#choose(this.#store.state);
  }

  #mark(found) {
    const other = (index) => found !== null && !found.has(index);
    for (const [index, card] of this.#built.cards.entries())
      card.classList.toggle("other", other(index));
  }

  #choose({ layer }) {
    if (!this.#built) return;
    const chosen = layer === null ? null : this.#built.cards[layer];
    for (const card of this.#built.node.querySelectorAll('[aria-selected="true"]')) {
      card.setAttribute("aria-selected", "false");
      card.removeAttribute("aria-current");
    }
    chosen?.setAttribute("aria-selected", "true");
    chosen?.setAttribute("aria-current", "true");
    if (!this.#built.node.contains(document.activeElement)) this.#rove(layer ?? 0);
    this.#built.emphasise(layer);
    this.#skyline?.choose(layer);
    if (layer !== null) this.#reveal(layer);
  }

  /** One card can be reached by Tab; the arrow keys lead to the others. */
  #rove(index) {
    this.#built.node.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    this.#built.cards[index].tabIndex = 0;
  }

  /** Scrolls the strip, never the page. */
  #reveal(index) {
    const { left, top, width, height } = this.#built.boxes[index];
    const smooth =
      matchMedia("(prefers-reduced-motion: no-preference)").matches && this.#root.dataset.shown;
    this.#scroller.scrollTo({
      left: into(left + MARGIN, width, this.#scroller.scrollLeft, this.#scroller.clientWidth),
      top: into(top + MARGIN, height, this.#scroller.scrollTop, this.#scroller.clientHeight),
      behavior: smooth ? "smooth" : "instant",
    });
    this.#root.dataset.shown = "yes";
  }

  /** To a card at once; its layer is chosen when the keys rest. */
  #go(index) {
    this.#rove(index);
    this.#built.cards[index].focus({ preventScroll: true });
    this.#reveal(index);
    clearTimeout(this.#moving);
    this.#moving = setTimeout(() => this.#sources.chooseLayer(index), REST_MS);
  }

  #steer(event) {
    const from = Number(event.target.dataset?.index ?? NaN);
    if (!this.#built || Number.isNaN(from) || event.altKey || event.ctrlKey || event.metaKey)
      return;
    const to = this.#built.step(from, event.key);
    if (to === undefined) return;
    event.preventDefault();
    if (to !== null) this.#go(to);
  }
}

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 * @param {import("../sources.js").Sources} sources
 */
export const mount = (root, store, sources) => new LayerListView(root, store, sources);

const captionOf = (layers) =>
  layers.length > MANY
    ? `${layers.length} from input to output. Bars: parameters (log). Red: share of the input seen.`
    : `${layers.length} from input to output, each with its strongest channels.`;

/** Where to scroll so that a card and something of its neighbours can be seen: nowhere if they can. */
function into(start, length, scrolled, room) {
  const around = Math.min(length, Math.max((room - length) / 2, 0));
  return Math.max(Math.min(scrolled, start - around), start + length + around - room);
}
