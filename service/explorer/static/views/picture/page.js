/**
 * The elements of the picture's view: head, the picture by its rank, the sentence and the exact
 * numbers.
 */

import { element, short } from "../../dom.js";
import { asText } from "../../fields.js";
import { Plane } from "./plane.js";
import { SignalPlot } from "./signal_plot.js";
import { VolumeViews } from "./volume_views.js";
import { extent, paddingInWords } from "./text.js";

const LABEL = "The input. Arrow keys point at its pixels, Shift makes larger steps, Escape ends.";
/** By the rank of what is shown. */
const MAKERS = {
  1: () => new SignalPlot({ label: LABEL }),
  2: () => new Plane({ label: LABEL, focusable: true }),
  3: () => new VolumeViews({ label: LABEL }),
};
const UNREADABLE = "The browser cannot show the posted file, so this is what the network is given.";
const QUIET_MS = 800;

export class Page {
  #root;
  #onWish;
  #buttons = [
    ["picture", "Posted", "As posted"],
    ["source", "Network", "As the network sees it"],
  ].map(([on, text, title]) => {
    const about = {
      type: "button",
      "data-on": on,
      "aria-pressed": "false",
      "aria-label": title,
      title,
    };
    return element(
      "button",
      { ...about, onclick: () => this.#onWish(/** @type {"picture" | "source"} */ (on)) },
      text,
    );
  });
  #views;
  host = element("div", { class: "picture-host" });
  #note = element("p", { class: "soft small" });
  #statusLine = element("p", { class: "picture-told" });
  #spoken = element("p", { class: "unseen", "aria-live": "polite" });
  #trouble = element("div", {});
  #empty = element("p", { class: "notice" }, "No input yet: give one above, and it is shown here.");
  #list;
  #write;
  #body;
  #painters = {};
  #speak = quietly((text) => (this.#spoken.textContent = text));
  /** @type {any} */
  painter = null;

  /**
   * @param {HTMLElement} root
   * @param {(on: "picture" | "source") => void} onWish
   */
  constructor(root, onWish) {
    this.#root = root;
    this.#onWish = onWish;
    const about = {
      class: "picture-views",
      role: "group",
      "aria-label": "Which view of the input",
    };
    this.#views = element("div", about, ...this.#buttons);
    const { list, write } = createCaption();
    this.#list = list;
    this.#write = write;
    const head = element(
      "div",
      { class: "head picture-head" },
      element("h2", {}, "The input"),
      this.#views,
    );
    this.#body = element(
      "div",
      { hidden: true },
      this.host,
      this.#note,
      this.#statusLine,
      this.#list,
    );
    root.replaceChildren(head, this.#empty, this.#trouble, this.#body, this.#spoken);
  }

  show(shown) {
    this.#painters[shown.rank] ??= MAKERS[shown.rank]();
    this.painter = this.#painters[shown.rank];
    if (this.host.firstChild !== this.painter.root) this.host.replaceChildren(this.painter.root);
    this.#root.dataset.on = shown.on;
    this.#list.dataset.rank = shown.rank;
    this.#body.hidden = false;
    this.#empty.hidden = true;
    this.#views.hidden = !shown.choice;
    for (const button of this.#buttons)
      button.setAttribute("aria-pressed", String(button.dataset.on === shown.on));
  }

  paint(shown) {
    if (this.host.clientWidth === 0) return;
    this.painter.show(shown.content, this.host.clientWidth);
    const left = this.painter.left?.() ?? 0;
    this.#note.textContent =
      left > 0
        ? `${left} more channels are not drawn.`
        : shown.readable
          ? framed(shown.content)
          : UNREADABLE;
    this.#note.hidden = this.#note.textContent === "";
  }

  mark(mark, seen, about) {
    this.painter.mark(mark);
    for (const key of ["interval", "clipped", "picture"])
      this.#root.dataset[key] = JSON.stringify(seen?.[key] ?? null);
    this.#write(seen, about);
  }

  tell(text) {
    if (this.#statusLine.textContent === text) return;
    this.#statusLine.textContent = text;
    this.#speak(text);
    this.painter.describe(`${LABEL} ${text}`);
  }

  fail(notice) {
    return this.#trouble.replaceChildren(...(notice ? [notice] : []));
  }

  /** Whether something is shown, something is on the way, and what is shown is the old. */
  wait(some, loading, old) {
    this.#body.hidden = !some;
    this.#empty.hidden = some || loading;
    this.host.classList.toggle("stale", old && !loading);
  }
}

/** What the thin line is, where there is one. */
function framed({ frame, size }) {
  if (!frame) return "";
  const cropped = frame.some(([start, stop], axis) => start > 0.5 || stop < size[axis] - 0.5);
  const filled = frame.some(([start, stop], axis) => start < -0.5 || stop > size[axis] + 0.5);
  const more = [cropped && " Hatched: cropped away.", filled && " Outside: filled up."];
  return `Thin line: the network's input.${more.filter(Boolean).join("")}`;
}

const WORDED = new Set(["Layer", "Padding"]);
const TERMS = ["Layer", "Unit", "Value", "Sees", "Picture", "Padding"];

const emptyNumber = (term) => element("dd", { class: WORDED.has(term) ? "" : "number" }, "–");

/** The exact numbers, a line each, so that nothing moves while they change. */
function createCaption() {
  const rows = Object.fromEntries(TERMS.map((term) => [term, emptyNumber(term)]));
  const list = element("dl", { class: "picture-numbers" });
  const terms = Object.fromEntries(TERMS.map((term) => [term, element("dt", {}, term)]));
  for (const term of TERMS) list.append(terms[term], rows[term]);

  function write(seen, about) {
    const texts = seen === null ? {} : textsOf(seen, about);
    for (const [term, data] of Object.entries(rows)) {
      const text = texts[term] ?? "–";
      if (data.textContent !== text) data.textContent = text;
    }
    rows.Layer.title = rows.Layer.textContent ?? "";
    rows.Value.title = seen === null ? "" : String(about.value);
    rows.Sees.title =
      seen === null ? "" : `${extent(seen.interval)} of the network's input, padding included`;
    for (const node of [rows.Picture, terms.Picture]) node.hidden = seen?.picture === null;
  }
  return { list, write };
}

const textsOf = (seen, { layer, channel, position, value, table }) => ({
  Layer: layer.name,
  Unit: `channel ${channel}${position.length > 0 ? `, at (${position.join(", ")})` : ""}`,
  Value: short(value),
  Sees: asText(seen.interval),
  Padding: paddingInWords(table, seen),
  Picture: seen.picture?.some(([start, stop]) => stop <= start)
    ? "nothing"
    : asText(seen.picture ?? []),
});

/** Says the last text only, once nothing has changed for a while. */
function quietly(say) {
  let timer = 0;
  return (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => say(text), QUIET_MS);
  };
}
