/**
 * Tabs after the pattern of the ARIA Authoring Practices: arrow keys move among them, one panel is
 * shown.
 */

import { element } from "../../dom.js";

/**
 * @param {string} label
 * @param {{id: string, label: string, panel: HTMLElement}[]} entries The first is chosen.
 */
export function createTabs(label, entries) {
  const list = element("div", { role: "tablist", "aria-label": label, class: "tabs" });
  const tabs = entries.map(({ id, label: text, panel }) => {
    const attributes = {
      type: "button",
      role: "tab",
      id: `tab-${id}`,
      "aria-controls": `panel-${id}`,
    };
    const tab = element("button", attributes, text);
    panel.id = `panel-${id}`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => choose(id));
    return { id, tab, panel };
  });
  list.append(...tabs.map(({ tab }) => tab));
  let chosen = entries[0].id;

  function choose(id) {
    chosen = id;
    for (const each of tabs) {
      each.tab.setAttribute("aria-selected", String(each.id === id));
      each.tab.tabIndex = each.id === id ? 0 : -1;
      each.panel.hidden = each.id !== id;
    }
  }

  list.addEventListener("keydown", (event) => {
    const shown = tabs.filter(({ tab }) => !tab.hidden);
    const place = shown.findIndex(({ id }) => id === chosen);
    const next = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: -1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const { id, tab } = shown.at(next % shown.length);
    choose(id);
    tab.focus();
  });

  choose(chosen);
  return {
    list,
    panels: tabs.map(({ panel }) => panel),
    choose,

    /** Show a tab or not; where it was the chosen one, the first is chosen. */
    allow(id, allowed) {
      const entry = tabs.find((each) => each.id === id);
      if (entry) entry.tab.hidden = !allowed;
      if (!allowed && chosen === id) choose(entries[0].id);
    },
  };
}
