/** The elements of the picture's view: head, the picture by its rank, the sentence and the exact numbers. */

import { element, short } from "../../dom.js";
import { asText } from "../../fields.js";
import { createPlane } from "./plane.js";
import { createSignalPlot } from "./signal_plot.js";
import { createVolumeViews } from "./volume_views.js";
import { extent, paddingInWords } from "./words.js";

const LABEL = "The input. Arrow keys point at its pixels, Shift makes larger steps, Escape ends.";
const createPicture = (options) => createPlane({ ...options, focusable: true });
const MAKERS = { 1: createSignalPlot, 2: createPicture, 3: createVolumeViews };
const UNREADABLE = "The browser cannot show the posted file, so this is what the network is given.";
const QUIET_MS = 800;

/**
 * @param {HTMLElement} root
 * @param {(on: "picture" | "source") => void} onWish
 */
export function createPage(root, onWish) {
  const buttons = [
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
    return element("button", { ...about, onclick: () => onWish(on) }, text);
  });
  const about = { class: "picture-views", role: "group", "aria-label": "Which view of the input" };
  const views = element("div", about, ...buttons);
  const host = element("div", { class: "picture-host" });
  const note = element("p", { class: "soft small" });
  const told = element("p", { class: "picture-told" });
  const spoken = element("p", { class: "unseen", "aria-live": "polite" });
  const trouble = element("div", {});
  const empty = element(
    "p",
    { class: "notice" },
    "No input yet: give one above, and it is shown here.",
  );
  const { list, write } = createCaption();
  const head = element(
    "div",
    { class: "head picture-head" },
    element("h2", {}, "The input"),
    views,
  );
  const body = element("div", { hidden: true }, host, note, told, list);
  root.replaceChildren(head, empty, trouble, body, spoken);
  const painters = {};
  const speak = quietly((text) => (spoken.textContent = text));

  const page = {
    host,
    painter: null,

    show(shown) {
      painters[shown.rank] ??= MAKERS[shown.rank]({ label: LABEL });
      page.painter = painters[shown.rank];
      if (host.firstChild !== page.painter.root) host.replaceChildren(page.painter.root);
      root.dataset.on = shown.on;
      list.dataset.rank = shown.rank;
      body.hidden = false;
      empty.hidden = true;
      views.hidden = !shown.choice;
      for (const button of buttons)
        button.setAttribute("aria-pressed", String(button.dataset.on === shown.on));
    },

    paint(shown) {
      if (host.clientWidth === 0) return;
      page.painter.show(shown.content, host.clientWidth);
      const left = page.painter.left?.() ?? 0;
      note.textContent =
        left > 0
          ? `${left} more channels are not drawn.`
          : shown.readable
            ? framed(shown.content)
            : UNREADABLE;
      note.hidden = note.textContent === "";
    },

    mark(mark, seen, about) {
      page.painter.mark(mark);
      for (const key of ["interval", "clipped", "picture"])
        root.dataset[key] = JSON.stringify(seen?.[key] ?? null);
      write(seen, about);
    },

    tell(text) {
      if (told.textContent === text) return;
      told.textContent = text;
      speak(text);
      page.painter.describe(`${LABEL} ${text}`);
    },

    fail: (notice) => trouble.replaceChildren(...(notice ? [notice] : [])),

    /** Whether something is shown, something is on the way, and what is shown is the old. */
    wait(some, loading, old) {
      body.hidden = !some;
      empty.hidden = some || loading;
      host.classList.toggle("stale", old && !loading);
    },
  };
  return page;
}

/** What the thin line is, where there is one. */
function framed({ frame, size }) {
  if (!frame) return "";
  const cropped = frame.some(([start, stop], axis) => start > 0.5 || stop < size[axis] - 0.5);
  const filled = frame.some(([start, stop], axis) => start < -0.5 || stop > size[axis] + 0.5);
  const more = [cropped && " Hatched: cropped away.", filled && " Outside: filled up."];
  return `Thin line: the network's input.${more.filter(Boolean).join("")}`;
}

const WORDED = ["Layer", "Padding"];
const TERMS = ["Layer", "Unit", "Value", "Sees", "Picture", "Padding"];

/** The exact numbers, a line each, so that nothing moves while they change. */
function createCaption() {
  const data = (term) => element("dd", { class: WORDED.includes(term) ? "" : "number" }, "–");
  const rows = Object.fromEntries(TERMS.map((term) => [term, data(term)]));
  const list = element("dl", { class: "picture-numbers" });
  for (const [term, data] of Object.entries(rows)) list.append(element("dt", {}, term), data);

  function write(seen, about) {
    const texts = seen === null ? {} : textsOf(seen, about);
    for (const [term, data] of Object.entries(rows)) {
      const text = texts[term] ?? "–";
      if (data.textContent !== text) data.textContent = text;
    }
    rows.Layer.title = rows.Layer.textContent;
    rows.Value.title = seen === null ? "" : String(about.value);
    rows.Sees.title =
      seen === null ? "" : `${extent(seen.interval)} of the network's input, padding included`;
    rows.Picture.hidden = rows.Picture.previousSibling.hidden = seen?.picture === null;
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
