/** What the network says: the strongest classes as bars, and what it cost to ask. */

import { chosenModel, refused } from "../media_types.js";
import { amount, areProbabilities, nameOf, share } from "../classes.js";
import { element, failure, short } from "../dom.js";

const SPOKEN_MS = 1000;
const TIMINGS = {
  decode: "Reading the input and bringing it to the network's size",
  queue: "Waiting for the network to be free",
  run: "The network itself",
};

/**
 * @param {HTMLElement} root
 * @param {import("../store.js").Store} store
 * @param {import("../actions.js").Actions} actions
 */
export function mount(root, store, actions) {
  const caption = element("p", { class: "soft small" });
  const list = element("ol", { class: "predictions-rows" });
  const note = element("div");
  const timings = element("p", { class: "predictions-timings soft small" });
  const spoken = element("p", { class: "unseen", role: "status" });
  const say = sparingly((text) => (spoken.textContent = text));
  root.append(
    element("div", { class: "head" }, element("h2", {}, "Prediction"), caption),
    list,
    note,
    timings,
    spoken,
  );

  function show(state) {
    const {
      scene: { model },
      prediction,
    } = state;
    const answer = prediction.value?.spec === model ? prediction.value : null;
    const classes = answer?.predictions ?? [];
    root.dataset.status = prediction.status;
    list.classList.toggle("stale", prediction.status === "loading");
    list.hidden = classes.length === 0;
    showRows(list, classes);
    note.replaceChildren(...notes(state, answer));
    caption.textContent = captionOf(classes, chosenModel(state)?.card?.labels?.length ?? 0);
    timings.replaceChildren(...costs(answer));
    if (prediction.status === "ready" && classes.length > 0) say(inWords(classes));
  }

  function notes(state, found) {
    const { prediction } = state;
    const { status, error } = prediction;
    if (status === "failed") return [failed(error, () => actions.retryInput())];
    if (status === "loading")
      return found ? [] : [statusLine("Asking the network…", "predictions-asking")];
    if (found === null)
      return [statusLine("Nothing to predict: the network has been given nothing yet.")];
    if (found.trouble)
      return [
        statusLine(`No classes: ${found.trouble.message}. The layers are shown all the same.`),
      ];
    return found.predictions.length === 0 ? [statusLine("The network names no classes.")] : [];
  }

  store.on(["prediction", "model", "models"], show);
}

/** Of how many classes these are the strongest, and whether they are scores. */
function captionOf(classes, labels) {
  const parts = [];
  if (labels > classes.length && classes.length > 0)
    parts.push(`the strongest of ${labels} classes`);
  if (!areProbabilities(classes)) parts.push("scores, not probabilities");
  return parts.join("; ");
}

const statusLine = (text, name = "") => element("p", { class: `soft ${name}` }, text);

function failed(error, retry) {
  if (refused(error))
    return statusLine("No prediction: the input was not taken. The panel above says why.");
  return failure(error, retry);
}

/** Rows keep their places, so that the bars move and do not jump. */
function showRows(list, classes) {
  while (list.children.length > classes.length) list.lastChild.remove();
  while (list.children.length < classes.length) list.append(emptyRow());
  classes.forEach((each, place) => fillRow(list.children[place], each, classes));
}

function emptyRow() {
  const track = element(
    "span",
    { class: "predictions-track", "aria-hidden": "true" },
    element("span"),
  );
  const label = element("span", { class: "predictions-label" });
  const shown = element("span", { class: "predictions-percent", "aria-hidden": "true" });
  const exact = element("span", { class: "unseen" });
  return element("li", {}, label, track, shown, exact);
}

function fillRow(row, found, classes) {
  const [label, track, shown, exact] = row.children;
  label.textContent = label.title = nameOf(found);
  shown.textContent = amount(found, classes);
  const what = areProbabilities(classes) ? "probability" : "score";
  exact.textContent = found.probability === null ? "not a number" : `${what} ${found.probability}`;
  row.title = exact.textContent;
  row.dataset.index = String(found.index);
  row.dataset.probability = String(found.probability);
  track.firstChild.style.width = `${100 * share(found, classes)}%`;
}

const inWords = (classes) => `${nameOf(classes[0])}, ${amount(classes[0], classes)}`;

function costs(found) {
  return Object.entries(found?.timings_ms ?? {}).map(([name, value]) => {
    const rounded = short(Number(value.toPrecision(2)));
    const title = `${TIMINGS[name] ?? name}: ${value} ms`;
    return element("span", { title }, `${name} `, element("b", {}, `${rounded} ms`));
  });
}

/** At most one text a second, the last one in any case, none twice running. */
function sparingly(speak) {
  let [timer, next, last, since] = [0, "", "", -Infinity];
  return (text) => {
    next = text;
    clearTimeout(timer);
    timer = setTimeout(
      () => {
        if (next === last) return;
        [last, since] = [next, performance.now()];
        speak(next);
      },
      Math.max(0, since + SPOKEN_MS - performance.now()),
    );
  };
}
