/** What is known of the unit that is shown, of its channel, and which units are the strongest. */

import { element, short } from "../../dom.js";
import { placeInWords, valueInWords } from "./text.js";

/** The unit under the pointer, or else the chosen one, with the statistics of its channel. */
export function createReadout() {
  const where = element("p", { class: "layer-where" });
  const value = element("p", { class: "layer-value number" });
  const terms = element("dl", { class: "layer-statistics small" });
  const attributes = {
    class: "layer-readout",
    role: "group",
    "aria-label": "The unit and its channel",
  };
  const root = element("div", attributes, where, value, terms);
  let channelShown = null;

  return {
    element: root,

    /**
     * @param {import("../../maps.js").LayerMaps} maps
     * @param {import("../../statistics.js").LayerStatistics} found
     * @param {{channel: number, unit: number[]}} unit
     * @param {string[] | null} labels
     */
    show(maps, found, { channel, unit }, labels) {
      const exact = maps.at(channel, unit);
      where.textContent = unitInWords(maps, { channel, unit }, labels);
      value.textContent = valueInWords(exact, short);
      value.title = String(exact);
      const number = String(maps.numbers[channel]);
      Object.assign(root.dataset, { channel: number, unit: unit.join(","), value: String(exact) });
      const key = `${channel} ${maps.layer} ${maps.input}`;
      terms.hidden = maps.length < 2;
      if (key === channelShown || maps.length < 2) return;
      channelShown = key;
      terms.replaceChildren(...statistics(found.channels[channel]));
    },

    /** Nothing to show yet. */
    clear() {
      where.textContent = "…";
      value.textContent = "";
      terms.replaceChildren();
      channelShown = null;
    },
  };
}

/** `Channel 63, row 12, column 7`, or the name of a class. */
export function unitInWords(maps, { channel, unit }, labels) {
  const number = maps.numbers[channel];
  if (maps.length > 1) return `Channel ${number}, ${placeInWords(unit)}`;
  if (labels === null) return `Channel ${number}`;
  return labels[channel] === String(number) ? `Class ${number}` : `${labels[channel]} (${number})`;
}

function statistics({ low, high, mean, zeros, nonFinite }) {
  const values = { least: low, largest: high, mean };
  const pairs = Object.entries(values).map(([term, each]) => [term, short(each), String(each)]);
  pairs.push(["zeros", `${Number((100 * zeros).toFixed(1))} %`, String(zeros)]);
  if (nonFinite > 0) pairs.push(["not finite", String(nonFinite), String(nonFinite)]);
  return pairs.map(([term, text, exact]) =>
    element(
      "div",
      { title: exact },
      element("dt", { class: "soft" }, term),
      element("dd", { class: "number" }, text),
    ),
  );
}

/**
 * The strongest units, each a button.
 * @typedef {{channel: number, unit: number[]}} Unit
 * @param {{onPoint: (unit: Unit | null) => void, onChoose: (unit: Unit) => void}} handlers
 */
export function createStrongest({ onPoint, onChoose }) {
  const list = element("ol", { class: "layer-strongest" });
  const title = element("h3", {}, "Strongest units");
  const root = element("div", { role: "group", "aria-label": title.textContent }, title, list);

  const item = (maps, found, labels) => {
    const { channel, unit, value } = found;
    const text = `${unitInWords(maps, found, labels)}: ${value}`;
    const made = element(
      "button",
      { type: "button", title: text, onclick: () => onChoose({ channel, unit }) },
      element("span", { class: "number" }, short(value)),
      element("span", { class: "soft small" }, brief(maps, found, labels)),
    );
    made.addEventListener("pointerenter", () => onPoint({ channel, unit }));
    made.addEventListener("pointerleave", () => onPoint(null));
    Object.assign(made.dataset, { channel: String(channel), unit: unit.join(",") });
    return element("li", {}, made);
  };

  return {
    element: root,

    /** @param {import("../../statistics.js").LayerStatistics} found */
    show(maps, found, labels) {
      list.replaceChildren(...found.strongest.map((each) => item(maps, each, labels)));
    },

    /** Show which of them is chosen. */
    mark(channel, unit) {
      for (const each of list.querySelectorAll("button")) {
        const chosen =
          each.dataset.channel === String(channel) && each.dataset.unit === String(unit);
        each.setAttribute("aria-pressed", String(chosen));
      }
    },
  };
}

function brief(maps, { channel, unit }, labels) {
  const number = maps.numbers[channel];
  if (labels) return labels[channel];
  return maps.length === 1 ? `channel ${number}` : `channel ${number} at ${unit.join(", ")}`;
}
