/** The layers from input to output as a strip of cards, branches drawn as branches. */

import { MARGIN, createBoard } from "./strip/board.js";
import { element, failure } from "../dom.js";
import { showAnswer } from "./strip/ends.js";
import { createFinder } from "./strip/finder.js";
import { createGlances } from "./strip/glances.js";
import { createSkyline } from "./strip/skyline.js";

/** From how many layers on there is a search field and an overview. */
const MANY = 15;
const REST_MS = 150;

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 * @param {import("../sources.js").Sources} sources
 */
export function mount(root, store, sources) {
  const head = element("div", { class: "head strip-head" });
  const scroller = element("div", { class: "strip-scroller" });
  const body = element("div", { class: "strip-body" });
  root.append(head, body);
  const glances = createGlances(store, scroller);
  /** @type {ReturnType<typeof createBoard> | null} */
  let built = null;
  /** @type {ReturnType<typeof createSkyline> | null} */
  let skyline = null;
  let moving = 0;

  function show({ layers, models }) {
    if (layers.status === "ready" && built?.layers === layers.value) return;
    skyline?.end();
    skyline = null;
    built = null;
    glances.clear();
    clearTimeout(moving);
    head.replaceChildren(element("h2", {}, "Layers"));
    if (layers.status === "failed")
      body.replaceChildren(failure(layers.error, sources.describeModel));
    else if (layers.status === "idle" && models.value?.models.length === 0)
      say("No model, no layers.");
    else if (layers.status !== "ready") say("Loading the layers…");
    else if (layers.value.length === 0) say("This network has no layer that can be shown.");
    else draw(layers.value);
  }

  const say = (text) => body.replaceChildren(element("p", { class: "soft strip-waiting" }, text));

  function draw(layers) {
    built = createBoard(layers);
    scroller.replaceChildren(built.node);
    scroller.scrollTo({ left: 0, top: 0, behavior: "instant" });
    if (layers.length > MANY) {
      head.append(createFinder(layers, go, mark).node);
      skyline = createSkyline(scroller, built, sources.chooseLayer);
    }
    head.append(element("p", { class: "soft small" }, captionOf(layers)));
    body.replaceChildren(...[skyline?.node, scroller].filter(Boolean));
    for (const glance of built.glances) glances.add(glance);
    showAnswer(built.output, store.state.prediction);
    choose(store.state);
  }

  function mark(found) {
    const other = (index) => found !== null && !found.has(index);
    for (const [index, card] of built.cards.entries()) card.classList.toggle("other", other(index));
  }

  function choose({ layer }) {
    if (!built) return;
    const chosen = layer === null ? null : built.cards[layer];
    for (const card of built.node.querySelectorAll('[aria-selected="true"]')) {
      card.setAttribute("aria-selected", "false");
      card.removeAttribute("aria-current");
    }
    chosen?.setAttribute("aria-selected", "true");
    chosen?.setAttribute("aria-current", "true");
    if (!built.node.contains(document.activeElement)) rove(layer ?? 0);
    built.emphasise(layer);
    skyline?.choose(layer);
    if (layer !== null) reveal(layer);
  }

  /** One card can be reached by Tab; the arrow keys lead to the others. */
  function rove(index) {
    built.node.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    built.cards[index].tabIndex = 0;
  }

  /** Scrolls the strip, never the page. */
  function reveal(index) {
    const { left, top, width, height } = built.boxes[index];
    const smooth =
      matchMedia("(prefers-reduced-motion: no-preference)").matches && root.dataset.shown;
    scroller.scrollTo({
      left: into(left + MARGIN, width, scroller.scrollLeft, scroller.clientWidth),
      top: into(top + MARGIN, height, scroller.scrollTop, scroller.clientHeight),
      behavior: smooth ? "smooth" : "instant",
    });
    root.dataset.shown = "yes";
  }

  /** To a card at once; its layer is chosen when the keys rest. */
  function go(index) {
    rove(index);
    built.cards[index].focus({ preventScroll: true });
    reveal(index);
    clearTimeout(moving);
    moving = setTimeout(() => sources.chooseLayer(index), REST_MS);
  }

  function steer(event) {
    const from = Number(event.target.dataset?.index ?? NaN);
    if (!built || Number.isNaN(from) || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = built.step(from, event.key);
    if (to === undefined) return;
    event.preventDefault();
    if (to !== null) go(to);
  }

  scroller.addEventListener("keydown", steer);
  scroller.addEventListener("click", (event) => {
    const card = event.target.closest("[data-index]");
    if (!card) return;
    rove(Number(card.dataset.index));
    card.focus({ preventScroll: true });
    sources.chooseLayer(Number(card.dataset.index));
  });
  store.on(["layers", "models"], show);
  store.on(["layer"], choose);
  store.on(["prediction"], ({ prediction }) => built && showAnswer(built.output, prediction));
}

const captionOf = (layers) =>
  layers.length > MANY
    ? `${layers.length} from input to output. Bars: parameters (log). Red: share of the input seen.`
    : `${layers.length} from input to output, each with its strongest channels.`;

/** Where to scroll so that a card and something of its neighbours can be seen: nowhere if they can. */
function into(start, length, scrolled, room) {
  const around = Math.min(length, Math.max((room - length) / 2, 0));
  return Math.max(Math.min(scrolled, start - around), start + length + around - room);
}
