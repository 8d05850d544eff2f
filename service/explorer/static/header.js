/**
 * The header of the page: the choice of a model, notices below it, the theme, and a link to copy.
 */

import { confirmOn, copyText } from "./copy.js";
import { byId, element, failure, many } from "./dom.js";
import { chosenModel } from "./media_types.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").ModelSummary} ModelSummary
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./actions.js").Actions} Actions
 */

const NO_MODEL =
  "No model is served yet. Put one under models/NAME/VERSION/model.onnx and start the service again.";

/** What is wrong with the models, and what of a link could not be given. */
export class Notices {
  #models = element("div");
  #added = element("div");

  /**
   * @param {HTMLElement} root
   * @param {Store} store
   * @param {Actions} actions
   */
  constructor(root, store, actions) {
    root.append(this.#models, this.#added);
    store.on(["models"], ({ models }) => {
      if (models.status === "failed")
        this.#models.replaceChildren(failure(models.error, () => actions.loadModels()));
      if (models.value && models.status === "ready")
        this.#models.replaceChildren(...noticesOf(models.value));
    });
  }

  /**
   * Add a notice that the user can dismiss; the same text once only.
   * @param {string} text
   */
  add(text) {
    const shown = /** @type {HTMLElement[]} */ ([...this.#added.children]);
    if (shown.some(({ dataset }) => dataset.text === text)) return;
    const close = element("button", { type: "button", class: "quiet" }, "Dismiss");
    const notice = element("p", { class: "notice", "data-text": text }, text, " ", close);
    close.addEventListener("click", () => notice.remove());
    this.#added.append(notice);
  }
}

/** @param {{models: ModelSummary[], refused: import("./state.js").RefusedModel[]}} listed */
function noticesOf({ models, refused }) {
  const notices = refused.map(({ name, version, reason }) =>
    element(
      "p",
      { class: "notice failed" },
      `Model ${name}, version ${version}, is not served: ${reason}`,
    ),
  );
  const none = models.every(({ versions }) => versions.length === 0);
  return none ? [...notices, element("p", { class: "notice" }, NO_MODEL)] : notices;
}

/**
 * @param {Store} store
 * @param {Actions} actions
 */
export function showHeader(store, actions) {
  const picker = /** @type {HTMLSelectElement} */ (byId("model"));
  picker.addEventListener("change", () => actions.chooseModel(picker.value));
  store.on(["models", "model"], (state) => {
    showChoice(picker, state);
    describeModel(state);
  });
  const share = byId("share");
  share.addEventListener("click", async () => {
    if (await copyText(location.href)) confirmOn(share, "Copied");
  });
}

/**
 * @param {HTMLSelectElement} picker
 * @param {State} state
 */
function showChoice(picker, { scene: { model }, models }) {
  if (models.status !== "ready" || models.value === null) return;
  const options = models.value.models.flatMap((summary) =>
    summary.versions.map((version) => option(summary, version)),
  );
  picker.replaceChildren(...options);
  picker.disabled = options.length === 0;
  picker.value = model ?? "";
}

/**
 * @param {ModelSummary} summary
 * @param {string} version
 */
const option = ({ name, version: newest, versions }, version) =>
  element(
    "option",
    { value: `${name}:${version}` },
    versions.length > 1 || newest !== version ? `${name}, version ${version}` : name,
  );

/** @param {State} state */
function describeModel(state) {
  const summary = chosenModel(state);
  document.title = summary ? `${summary.name} · Fovea` : "Fovea";
  if (!summary) return;
  const title = summary.card?.title ?? "a file without a model card";
  const provider = summary.provider.replace("ExecutionProvider", "");
  const sizes = `${summary.layers} layers · ${many(summary.parameters)} parameters`;
  byId("about").textContent = `${title} · ${sizes} · ${provider}`;
}

const THEMES = ["system", "light", "dark"];
/** @type {Record<string, string>} */
const SIGNS = { system: "◐", light: "☀", dark: "☾" };

function themeChosen() {
  const stored = localStorage.getItem("theme");
  return stored !== null && THEMES.includes(stored) ? stored : "system";
}

const nextTheme = () => THEMES[(THEMES.indexOf(themeChosen()) + 1) % THEMES.length];

function showTheme() {
  const theme = themeChosen();
  const sign = element("span", { "aria-hidden": "true" }, SIGNS[theme]);
  byId("theme").replaceChildren(sign, `Theme: ${theme}`);
  byId("theme").setAttribute("aria-label", `Theme: ${theme}. Change to ${nextTheme()}.`);
}

/** @param {Store} store */
export function listenToTheme(store) {
  byId("theme").addEventListener("click", () => {
    const next = nextTheme();
    if (next === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", next);
    document.dispatchEvent(new Event("themechosen"));
    showTheme();
  });
  document.addEventListener("themechange", () =>
    store.set({ theme: document.documentElement.dataset.theme }),
  );
  showTheme();
}
