/** Puts the page together: the state, what fetches into it, the views, and the controls of the header. */

import { chosenModel } from "./accepted.js";
import { confirmOn, copyText } from "./copy.js";
import { element, failure, many } from "./dom.js";
import { UrlSync } from "./journey.js";
import { DIVERGING, SCALINGS, SEQUENTIAL } from "./palette.js";
import { storedColours } from "./ranges.js";
import { Actions } from "./sources.js";
import { IDLE, createStore } from "./store.js";
import * as convolution from "./views/convolution.js";
import * as give from "./views/give.js";
import * as kernels from "./views/kernels.js";
import * as layer from "./views/layer.js";
import * as picture from "./views/picture.js";
import * as predictions from "./views/predictions.js";
import * as pyramid from "./views/pyramid.js";
import * as strip from "./views/strip.js";

const VIEWS = { give, picture, predictions, strip, layer, convolution, pyramid, kernels };
const COLOURS = { sequential: "viridis", diverging: "blue–orange", scaling: "map" };

const store = createStore({
  models: IDLE,
  model: null,
  layers: IDLE,
  samples: IDLE,
  given: null,
  blank: false,
  prediction: IDLE,
  input: null,
  layer: null,
  channel: null,
  unit: null,
  maps: IDLE,
  fields: IDLE,
  pointed: null,
  pixel: null,
  pixelOn: null,
  colours: storedColours(COLOURS, {
    sequential: SEQUENTIAL,
    diverging: DIVERGING,
    scaling: SCALINGS,
  }),
  theme: document.documentElement.dataset.theme,
});
const sources = new Actions(store);
const byId = (id) => document.getElementById(id);

for (const [id, view] of Object.entries(VIEWS)) {
  view.mount(byId(id), store, sources);
}

/** What is wrong with the models, and what of a link could not be given. */
const standing = element("div");
const said = element("div");
byId("notice").append(standing, said);

function showModels({ models, model }) {
  const picker = byId("model");
  if (models.status === "failed")
    standing.replaceChildren(failure(models.error, () => sources.loadModels()));
  if (models.status !== "ready") return;
  const { models: served, refused } = models.value;
  const options = served.flatMap((each) => each.versions.map((version) => option(each, version)));
  picker.replaceChildren(...options);
  picker.disabled = options.length === 0;
  picker.value = model ?? "";
  standing.replaceChildren(...refused.map((each) => refusal(each)));
  if (options.length === 0) {
    standing.append(
      element(
        "p",
        { class: "notice" },
        "No model is served yet. Put one under models/NAME/VERSION/model.onnx and start the service again.",
      ),
    );
  }
}

const option = ({ name, version: newest, versions }, version) =>
  element(
    "option",
    { value: `${name}:${version}` },
    versions.length > 1 || newest !== version ? `${name}, version ${version}` : name,
  );

const refusal = ({ name, version, reason }) =>
  element(
    "p",
    { class: "notice failed" },
    `Model ${name}, version ${version}, is not served: ${reason}`,
  );

function describe({ models, model }) {
  const summary = chosenModel({ models, model });
  document.title = summary ? `${summary.name} · Fovea` : "Fovea";
  if (!summary) return;
  const title = summary.card?.title ?? "a file without a model card";
  const provider = summary.provider.replace("ExecutionProvider", "");
  const sizes = `${summary.layers} layers · ${many(summary.parameters)} parameters`;
  byId("about").textContent = `${title} · ${sizes} · ${provider}`;
}

function say(text) {
  if ([...said.children].some((each) => each.dataset.text === text)) return;
  const close = element(
    "button",
    { type: "button", class: "quiet", onclick: () => told.remove() },
    "Dismiss",
  );
  const told = element("p", { class: "notice", "data-text": text }, text, " ", close);
  said.append(told);
}

const THEMES = ["system", "light", "dark"];
const SIGNS = { system: "◐", light: "☀", dark: "☾" };

function themeChosen() {
  const stored = localStorage.getItem("theme");
  return THEMES.includes(stored) ? stored : "system";
}

const nextTheme = () => THEMES[(THEMES.indexOf(themeChosen()) + 1) % THEMES.length];

function showTheme() {
  const now = themeChosen();
  byId("theme").replaceChildren(
    element("span", { "aria-hidden": "true" }, SIGNS[now]),
    `Theme: ${now}`,
  );
  byId("theme").setAttribute("aria-label", `Theme: ${now}. Change to ${nextTheme()}.`);
}

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
byId("share").addEventListener("click", async () => {
  if (await copyText(location.href)) confirmOn(byId("share"), "Copied");
});
byId("model").addEventListener("change", (event) => sources.chooseModel(event.target.value));

store.on(["models", "model"], showModels);
store.on(["models", "model"], describe);
new UrlSync(store, sources, say);
showTheme();
sources.loadModels();
