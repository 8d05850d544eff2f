/** How the network is given something to see: a sample, a drawing, or a file of one's own. */

import { accept, chosenModel, noun, refused, takes, typed } from "../media_types.js";
import { element, failure } from "../dom.js";
import { receiveFiles } from "./input_panel/drop.js";
import { Drawing } from "./input_panel/drawing.js";
import { createTabs } from "./input_panel/tabs.js";
import { thumbnail } from "./input_panel/sample_thumbnail.js";

const PASTE = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘V" : "Ctrl+V";

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 * @param {import("../actions.js").Actions} actions
 */
export function mount(root, store, actions) {
  const what = element("p", { class: "soft small give-what" });
  const now = element("p", { class: "soft small give-now" });
  const reason = element("div");
  const aside = element("p", { class: "small", role: "status" });
  const drawing = new Drawing(store, actions);
  const own = ownPanel(take);
  const tabs = createTabs("Ways to give an input", [
    { id: "samples", label: "Samples", panel: samplesPanel(store, actions) },
    { id: "draw", label: "Draw", panel: drawing.panel },
    { id: "own", label: "Your own", panel: own.panel },
  ]);
  root.append(
    element("h2", { class: "unseen" }, "Input"),
    tabs.list,
    what,
    ...tabs.panels,
    now,
    aside,
    reason,
  );

  receiveFiles({ take, invitation: () => invitation(chosenModel(store.state)) });

  /** @param {File} file @param {string} name @param {number} others How many more came with it. */
  async function take(file, name, others = 0) {
    if (store.state.scene.model === null) return;
    drawing.stop();
    aside.textContent = others > 0 ? `Several files came; ${name} is the one that was taken.` : "";
    try {
      // A folder, or a file that is gone, cannot be read; the API would never hear of it.
      await file.slice(0, 1).arrayBuffer();
    } catch {
      aside.textContent = `${name} cannot be read: it is a folder, or was moved. Give a single file.`;
      return;
    }
    actions.offer(typed(file), { name, own: true });
  }

  function showModel(state) {
    const summary = chosenModel(state);
    if (summary === null) return;
    what.textContent = takes(summary);
    own.accept(summary);
    tabs.allow("draw", summary.input.kind === "image");
  }

  function showGiven({ given, prediction, blank }) {
    const refusal = prediction.status === "failed" && refused(prediction.error);
    const nothing = blank ? "Given: nothing. The sheet is empty." : "";
    now.textContent =
      given !== null && prediction.status !== "idle" ? `Given: ${given.name}` : nothing;
    now.hidden = now.textContent === "" || prediction.status === "failed";
    reason.replaceChildren(...(refusal ? [refusalOf(prediction.error, given)] : []));
  }

  store.on(["models", "model"], showModel);
  store.on(["given", "prediction", "blank"], showGiven);
}

/** While a file is held above the page. */
function invitation(summary) {
  if (summary === null) return [element("strong", {}, "Drop a file")];
  return [element("strong", {}, `Drop a ${noun(summary)} for ${summary.name}`), takes(summary)];
}

function refusalOf(error, given) {
  const named = given !== null && error.status !== 404;
  const begin = named ? [element("strong", {}, given.name), " was not taken"] : [error.title];
  const parts = [...begin, `: ${error.message}.`];
  return element("p", { class: "notice failed small give-reason", role: "alert" }, ...parts);
}

function ownPanel(take) {
  const input = element("input", { type: "file", hidden: true, "aria-label": "Choose a file" });
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    if (file) take(file, file.name);
    // The same file again, after a change to it, is a choice too.
    input.value = "";
  });
  const paste = element("kbd", {}, PASTE);
  const panel = element(
    "div",
    { class: "give-own" },
    element("button", { type: "button", onclick: () => input.click() }, "Choose a file…"),
    element(
      "p",
      { class: "soft small" },
      "or drop one anywhere on this page, or paste with ",
      paste,
      ".",
    ),
    input,
  );
  return { panel, accept: (summary) => (input.accept = accept(summary)) };
}

function samplesPanel(store, actions) {
  const panel = element("div", { class: "give-samples" });
  let ending = new AbortController();
  let shown = [];

  function list({ scene: { model }, samples }) {
    ending.abort();
    ending = new AbortController();
    const kind = chosenModel(store.state)?.input.kind ?? null;
    shown = (samples.value ?? []).map((sample) => ({
      sample,
      ...thumbnail(model, sample, kind, ending.signal),
    }));
    panel.dataset.kind = kind ?? "numbers";
    panel.replaceChildren(
      ...(shown.length > 0 ? shown.map(choice) : note(samples, () => actions.describeModel())),
    );
    mark(store.state);
  }

  function choice(entry) {
    const { name, file } = entry.sample;
    const onclick = () => actions.offerSample(file);
    entry.button = element(
      "button",
      { type: "button", title: name, "aria-label": name, onclick },
      entry.node,
    );
    return entry.button;
  }

  function mark({ given }) {
    for (const { button, sample } of shown) {
      button.setAttribute(
        "aria-pressed",
        String(given !== null && !given.own && given.name === sample.file),
      );
    }
  }

  store.on(["samples"], list);
  store.on(["given"], mark);
  store.on(["theme"], () => shown.forEach(({ repaint }) => repaint()));
  return panel;
}

/** Instead of samples. */
function note({ status, error }, retry) {
  if (status === "failed" && error.status !== 404) return [failure(error, retry)];
  if (status === "loading" || status === "idle") return [];
  return [
    element("p", { class: "soft" }, "This model brings no samples. Give it something of your own."),
  ];
}
