/** How the chosen unit's value comes about: patch × kernel, summed over the channels, beside what was served. */

import { explain, unexplained, windowOf } from "./convolution/arithmetic.js";
import { colour, element, failure } from "../dom.js";
import { offset, positionOf } from "../maps.js";
import { scaleFor } from "../palette.js";
import { eachFrame } from "../store.js";
import { createLedger } from "./convolution/ledger.js";
import { createNumbers } from "./convolution/numbers.js";
import { createPlayer } from "./convolution/player.js";
import { createRows } from "./convolution/rows.js";
import { createStage } from "./convolution/stage.js";
import { neighbour, onward, Sweep } from "./convolution/sweep.js";
import { caption, formula } from "./convolution/words.js";

export function mount(root, store, sources) {
  const numbers = createNumbers();
  const about = element("p", { class: "soft small convolution-about" });
  const text = element("p", { class: "convolution-caption" });
  const notice = element("div", { class: "convolution-notice", "aria-live": "polite" });
  const formulas = element("div", { class: "convolution-formula number small" });
  const player = createPlayer({ move, began, ended, clear });
  const stage = createStage({
    choose: (unit) => sources.chooseUnit(store.state.channel, unit),
    chooseChannel,
  });
  const rows = createRows({ chooseChannel });
  const ledger = createLedger();
  const board = element(
    "div",
    {
      class: "convolution-board",
      role: "group",
      tabIndex: 0,
      "aria-label": "The sliding kernel: arrow keys move the unit, space plays",
    },
    stage.root,
    stage.readout,
  );
  const parts = [player.root, board, ledger.root, formulas, rows.root];
  const body = element("div", { class: "convolution-body", hidden: true }, ...parts);
  const head = element(
    "div",
    { class: "head" },
    element("h2", {}, "How the value comes about"),
    about,
  );
  root.append(head, text, notice, body);

  let controller = new AbortController();
  let loading = "";
  let failed = "";
  let inView = false;
  let picked = null;
  let shown = null;
  let sweep = null;
  const refresh = eachFrame(show);

  function chooseChannel(channel) {
    picked = picked === channel ? null : channel;
    refresh();
  }

  /** What is chosen, if it is complete. */
  function chosen() {
    const { model, layers, layer: index, input, channel, unit, maps } = store.state;
    const layer = layers.value?.[index];
    if (!layer || input === null || channel === null || unit === null) return null;
    const fresh =
      maps.status === "ready" && maps.value.layer === index && maps.value.input === input;
    const served = fresh ? maps.value : null;
    return {
      model,
      layer,
      input,
      channel,
      unit,
      served,
      key: `${model} ${index} ${input} ${channel}`,
    };
  }

  function show() {
    const asked = chosen();
    root.hidden = store.state.layers.status === "idle";
    const waiting = store.state.layers.status === "loading";
    if (!asked || (asked.served && unfit(asked))) return say(waiting ? "loading" : "none", "");
    const reason = unexplained(asked.layer);
    if (reason) return say("unexplained", element("p", { class: "notice" }, reason));
    if (shown && shown.asked.key !== asked.key) reset(asked);
    if (!shown && !failed) text.textContent = "";
    if (!inView || failed === asked.key) return undefined;
    const found = numbers.at(asked);
    if (found) return present(asked, found);
    return load(asked);
  }

  const unfit = ({ served, unit, channel }) =>
    unit.length !== served.size.length || channel >= served.channels;

  function reset(asked) {
    player.stop();
    sweep = null;
    player.report("");
    if (shown.asked.layer !== asked.layer) {
      picked = null;
      rows.fold();
    }
  }

  function say(status, child) {
    controller.abort();
    loading = "";
    player.stop();
    shown = null;
    root.dataset.status = status;
    for (const key of ["sum", "served", "bias", "post"]) delete root.dataset[key];
    about.textContent = "";
    const nothing = "Give the network an input and choose a unit: its arithmetic is shown here.";
    text.textContent = status === "none" ? nothing : "";
    notice.replaceChildren(child);
    body.hidden = true;
  }

  async function load(asked) {
    const key = `${asked.key} ${asked.unit}`;
    if (loading === key) return;
    controller.abort();
    controller = new AbortController();
    const { signal } = controller;
    loading = key;
    root.dataset.status = "loading";
    body.classList.add("stale");
    if (body.hidden)
      notice.replaceChildren(element("p", { class: "notice" }, "Fetching what this layer reads …"));
    try {
      await numbers.load(asked, signal);
    } catch (error) {
      if (signal.aborted) return;
      failed = asked.key;
      say("failed", failure(error, retry));
      return;
    }
    if (signal.aborted) return;
    loading = "";
    refresh();
  }

  function retry() {
    failed = "";
    refresh();
  }

  function present(asked, found) {
    const explained = explain(asked.layer, found, asked.channel, asked.unit);
    const view = viewOf(asked, found, explained);
    shown = view;
    loading = failed = "";
    body.hidden = false;
    body.classList.remove("stale");
    notice.replaceChildren();
    const at = asked.unit.length ? `, unit ${asked.unit.join(", ")}` : "";
    about.textContent = `${asked.layer.name} (${asked.layer.operator}), channel ${asked.channel}${at}`;
    text.textContent = caption(asked.layer, explained);
    player.root.hidden = found.pre.length < 2;
    board.hidden = asked.layer.kind === "dense";
    stage.draw(view);
    ledger.show(view);
    rows.draw(view);
    const { general, here } = formula(asked.layer, explained, asked.channel, asked.unit);
    formulas.replaceChildren(element("p", {}, general), element("p", {}, here));
    expose(asked, view);
  }

  function expose({ channel, unit, layer }, { found, served, post }) {
    const { dataset } = root;
    dataset.status = "ready";
    dataset.sum = String(found.total);
    dataset.served = String(served);
    dataset.bias = found.bias === null ? "" : String(found.bias);
    dataset.post = post === null ? "" : String(post);
    dataset.place = `${layer.index}/${channel}/${unit.join(",")}`;
  }

  /** All that the parts need to draw one unit. */
  function viewOf(asked, got, found) {
    const { layer, channel, unit, served: maps } = asked;
    const { colours } = store.state;
    const strongest = found.rows.reduce((best, row) =>
      Math.abs(row.sum) > Math.abs(best.sum) ? row : best,
    );
    const row = found.rows.find((each) => each.channel === picked) ?? strongest;
    const values = sweep?.values ?? got.pre.map(place(got.pre, channel));
    const range = got.pre.range(place(got.pre, channel));
    return {
      asked,
      layer,
      found,
      row,
      unit,
      colours,
      picked,
      diverging: colours.diverging,
      red: colour("--red"),
      channels: layer.kind.endsWith("convolution") ? found.rows.map((each) => each.channel) : [],
      weights: found.rows[0].weights && found.rows.flatMap((each) => each.weights),
      inputs: layer.kind === "dense" ? [] : inputsOf(layer, got, found, row, unit, colours),
      output: {
        title: `channel ${channel} of ${layer.name}`,
        values,
        size: got.pre.size,
        scale: scaleFor(range, colours),
        window: unit.map((index) => [index, index + 1]),
        partly: sweep !== null,
      },
      pre: got.pre,
      served: got.pre.at(place(got.pre, channel), unit),
      post: maps ? maps.at(channel, unit) : null,
    };
  }

  function move(steps) {
    if (!shown) return false;
    const { channel, unit } = store.state;
    const { size } = shown.pre;
    const next = onward(unit, size, steps);
    if (next === null) return false;
    if (sweep) {
      const from = offset(unit, size);
      sweep.reveal(Math.min(from, next), Math.max(from, next));
      player.report(sweep.report);
    }
    sources.chooseUnit(channel, positionOf(next, size));
    return true;
  }

  /** Playing goes on where it stopped, or begins in the first corner. */
  function began() {
    if (!shown) return;
    const { asked, pre } = shown;
    store.set({ playing: true });
    rows.fold();
    const last = onward(store.state.unit, pre.size, 1) === null;
    if (!sweep || last) {
      sweep = new Sweep(asked.key, asked.layer, numbers.at(asked) ?? { pre }, asked.channel);
      sweep.reveal(0, 0);
      sources.chooseUnit(asked.channel, positionOf(0, pre.size));
    }
    player.report(sweep.report);
    refresh();
  }

  function ended() {
    store.set({ playing: false });
  }

  function clear() {
    sweep = null;
    player.report("");
    refresh();
  }

  board.addEventListener("keydown", (event) => {
    if (
      !shown ||
      event.target.closest("select, button") ||
      event.altKey ||
      event.ctrlKey ||
      event.metaKey
    )
      return;
    const next = neighbour(store.state.unit, shown.pre.size, event.key);
    if (next) {
      player.stop();
      sources.chooseUnit(store.state.channel, next);
    } else if (event.key === " ") player.toggle();
    if (next || event.key === " ") event.preventDefault();
  });
  new IntersectionObserver(
    (entries) => {
      inView = entries.at(-1).isIntersecting;
      if (!inView) player.stop();
      refresh();
    },
    { rootMargin: "120px" },
  ).observe(root);
  let width = 0;
  new ResizeObserver(() => {
    if (root.clientWidth !== width) refresh();
    width = root.clientWidth;
  }).observe(root);
  store.on(
    ["model", "layers", "layer", "input", "channel", "unit", "maps", "theme", "colours"],
    refresh,
  );
}

/** Where a channel's map lies among those that were fetched. */
const place = (maps, channel) => Math.max(maps.numbers.indexOf(channel), 0);

/** What the operator reads, to be drawn: of a merge each tensor, else the channel of the chosen row. */
function inputsOf(layer, { operands }, found, row, unit, colours) {
  const several = found.rows.length > 1;
  const drawn = (each) => {
    const maps = operands[each.operand];
    const at = place(maps, each.channel);
    const name = nameOf(layer, each.operand);
    return {
      title: several && layer.kind !== "merge" ? name : `channel ${each.channel} of ${name}`,
      values: maps.map(at),
      size: maps.size,
      scale: scaleFor(maps.range(at), colours),
      taps: found.taps,
      window: found.taps.length ? windowOf(found) : aligned(found.origin ?? unit, maps.size),
      pads: layer.kind === "transposed_convolution" ? [] : (layer.pads ?? []),
    };
  };
  return layer.kind === "merge" ? found.rows.map(drawn) : [drawn(row)];
}

function nameOf(layer, operand) {
  if (layer.kind !== "merge") return layer.inputs[0] ?? "the input";
  return layer.inputs.length === layer.operands.length
    ? layer.inputs[operand]
    : layer.operands[operand].name;
}

/** A unit on a map that is perhaps repeated along its axes of length 1. */
const aligned = (unit, size) =>
  size.map((length, axis) => {
    const index = length === 1 ? 0 : unit[axis + unit.length - size.length];
    return [index, index + 1];
  });
