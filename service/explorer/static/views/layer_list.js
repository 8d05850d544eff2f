/** The layers from input to output as a strip of cards, branches drawn as branches. */

import { MARGIN, Board } from "./layer_list/board.js";
import { closest, element, failure, isCommand } from "../dom.js";
import { showAnswer } from "./layer_list/input_output.js";
import { createFinder } from "./layer_list/finder.js";
import { Thumbnails } from "./layer_list/thumbnails.js";
import { Minimap } from "./layer_list/minimap.js";

/** From how many layers on there is a search field and an overview. */
const MANY = 15;
const REST_MS = 150;
/** Of `scrollTo`; not known to TypeScript 4.8. */
const INSTANT = /** @type {ScrollBehavior} */ (/** @type {string} */ ("instant"));

class LayerListView {
  #root;
  #store;
  #actions;
  #head = element("div", { class: "head strip-head" });
  #scroller = element("div", { class: "strip-scroller" });
  #body = element("div", { class: "strip-body" });
  #thumbnails;
  /** @type {Board | null} */
  #built = null;
  /** @type {Minimap | null} */
  #minimap = null;
  #moving = 0;

  /**
   * @param {HTMLElement} root
   * @param {import("../store.js").Store} store
   * @param {import("../actions.js").Actions} actions
   */
  constructor(root, store, actions) {
    this.#root = root;
    this.#store = store;
    this.#actions = actions;
    root.append(this.#head, this.#body);
    this.#thumbnails = new Thumbnails(store, this.#scroller);
    this.#scroller.addEventListener("keydown", (event) => this.#steer(event));
    this.#scroller.addEventListener("click", (event) => {
      const card = closest(event, "[data-index]");
      if (!card) return;
      this.#rove(Number(card.dataset.index));
      card.focus({ preventScroll: true });
      this.#actions.chooseLayer(Number(card.dataset.index));
    });
    store.on(["layers", "models"], (state) => this.#show(state));
    store.on(["layer"], (state) => this.#choose(state));
    store.on(
      ["prediction"],
      ({ prediction }) => this.#built && showAnswer(this.#built.output, prediction),
    );
  }

  #show({ layers, models }) {
    if (layers.status === "ready" && this.#built?.layers === layers.value) return;
    this.#minimap?.end();
    this.#minimap = null;
    this.#built = null;
    this.#thumbnails.clear();
    clearTimeout(this.#moving);
    this.#head.replaceChildren(element("h2", {}, "Layers"));
    if (layers.status === "failed")
      this.#body.replaceChildren(failure(layers.error, () => this.#actions.describeModel()));
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
    this.#scroller.scrollTo({ left: 0, top: 0, behavior: INSTANT });
    if (layers.length > MANY) {
      this.#head.append(
        createFinder(
          layers,
          (index) => this.#go(index),
          (found) => this.#mark(found),
        ).node,
      );
      this.#minimap = new Minimap(this.#scroller, this.#built, (index) =>
        this.#actions.chooseLayer(index),
      );
    }
    this.#head.append(element("p", { class: "soft small" }, captionOf(layers)));
    this.#body.replaceChildren(...(this.#minimap ? [this.#minimap.node] : []), this.#scroller);
    for (const thumbnail of this.#built.thumbnails) this.#thumbnails.add(thumbnail);
    showAnswer(this.#built.output, this.#store.state.prediction);
    this.#choose(this.#store.state);
  }

  #mark(found) {
    const other = (index) => found !== null && !found.has(index);
    this.#built?.cards.forEach((card, index) => card.classList.toggle("other", other(index)));
  }

  #choose({ scene: { layer } }) {
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
    this.#minimap?.choose(layer);
    if (layer !== null) this.#reveal(layer);
  }

  /** One card can be reached by Tab; the arrow keys lead to the others. */
  #rove(index) {
    if (!this.#built) return;
    this.#built.node.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    this.#built.cards[index].tabIndex = 0;
  }

  /** Scrolls the strip, never the page. */
  #reveal(index) {
    if (!this.#built) return;
    const { left, top, width, height } = this.#built.boxes[index];
    const smooth =
      matchMedia("(prefers-reduced-motion: no-preference)").matches && this.#root.dataset.shown;
    this.#scroller.scrollTo({
      left: into(left + MARGIN, width, this.#scroller.scrollLeft, this.#scroller.clientWidth),
      top: into(top + MARGIN, height, this.#scroller.scrollTop, this.#scroller.clientHeight),
      behavior: smooth ? "smooth" : INSTANT,
    });
    this.#root.dataset.shown = "yes";
  }

  /** To a card at once; its layer is chosen when the keys rest. */
  #go(index) {
    this.#rove(index);
    this.#built?.cards[index].focus({ preventScroll: true });
    this.#reveal(index);
    clearTimeout(this.#moving);
    this.#moving = setTimeout(() => this.#actions.chooseLayer(index), REST_MS);
  }

  #steer(event) {
    const from = Number(event.target.dataset?.index ?? NaN);
    if (!this.#built || Number.isNaN(from) || isCommand(event)) return;
    const to = this.#built.step(from, event.key);
    if (to === undefined) return;
    event.preventDefault();
    if (to !== null) this.#go(to);
  }
}

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 * @param {import("../actions.js").Actions} actions
 */
export const mount = (root, store, actions) => new LayerListView(root, store, actions);

const captionOf = (layers) =>
  layers.length > MANY
    ? `${layers.length} from input to output. Bars: parameters (log). Red: share of the input seen.`
    : `${layers.length} from input to output, each with its strongest channels.`;

/**
 * Where to scroll so that a card and something of its neighbours can be seen: nowhere if they can.
 */
function into(start, length, scrolled, room) {
  const around = Math.min(length, Math.max((room - length) / 2, 0));
  return Math.max(Math.min(scrolled, start - around), start + length + around - room);
}
