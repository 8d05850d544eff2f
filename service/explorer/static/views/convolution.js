/** How the chosen unit's value comes about: patch × kernel, summed over the channels, beside what was served. */

import { explain, unexplained, windowOf } from "./convolution/arithmetic.js";
import { colour, element, failure } from "../dom.js";
import { offset, positionOf } from "../maps.js";
import { scaleFor } from "../palette.js";
import { eachFrame } from "../store.js";
import { createLedger } from "./convolution/ledger.js";
import { createNumbers } from "./convolution/numbers.js";
import { Player } from "./convolution/player.js";
import { createRows } from "./convolution/rows.js";
import { Stage } from "./convolution/stage.js";
import { neighbour, onward, Sweep } from "./convolution/sweep.js";
import { caption, formula } from "./convolution/words.js";

class ConvolutionView {
  #root;
  #store;
  #sources;
  #numbers = createNumbers();
  #about = element("p", { class: "soft small convolution-about" });
  #text = element("p", { class: "convolution-caption" });
  #notice = element("div", { class: "convolution-notice", "aria-live": "polite" });
  #formulas = element("div", { class: "convolution-formula number small" });
  #player = new Player({
    move: (steps) => this.#move(steps),
    began: () => this.#began(),
    ended: () => this.#ended(),
    clear: () => this.#clear(),
  });
  #stage = new Stage({
    choose: (unit) => this.#sources.chooseUnit(this.#store.state.channel, unit),
    chooseChannel: (channel) => this.#chooseChannel(channel),
  });
  #rows = createRows({ chooseChannel: (channel) => this.#chooseChannel(channel) });
  #ledger = createLedger();
  #board = element(
    "div",
    {
      class: "convolution-board",
      role: "group",
      tabIndex: 0,
      "aria-label": "The sliding kernel: arrow keys move the unit, space plays",
    },
    this.#stage.root,
    this.#stage.readout,
  );
  #body;
  #controller = new AbortController();
  #loading = "";
  #failed = "";
  #inView = false;
  #picked = null;
  #shown = null;
  #sweep = null;
  #refresh = eachFrame(() => this.#show());
  #width = 0;

  constructor(root, store, sources) {
    this.#root = root;
    this.#store = store;
    this.#sources = sources;
    const parts = [
      this.#player.root,
      this.#board,
      this.#ledger.root,
      this.#formulas,
      this.#rows.root,
    ];
    this.#body = element("div", { class: "convolution-body", hidden: true }, ...parts);
    const head = element(
      "div",
      { class: "head" },
      element("h2", {}, "How the value comes about"),
      this.#about,
    );
    root.append(head, this.#text, this.#notice, this.#body);
    this.#board.addEventListener("keydown", (event) => {
      if (
        !this.#shown ||
        event.target.closest("select, button") ||
        event.altKey ||
        event.ctrlKey ||
        event.metaKey
      )
        return;
      const next = neighbour(this.#store.state.unit, this.#shown.pre.size, event.key);
      if (next) {
        this.#player.stop();
        this.#sources.chooseUnit(this.#store.state.channel, next);
      } else if (event.key === " ") this.#player.toggle();
      if (next || event.key === " ") event.preventDefault();
    });
    new IntersectionObserver(
      (entries) => {
        this.#inView = entries.at(-1).isIntersecting;
        if (!this.#inView) this.#player.stop();
        this.#refresh();
      },
      { rootMargin: "120px" },
    ).observe(root);
    new ResizeObserver(() => {
      if (this.#root.clientWidth !== this.#width) this.#refresh();
      this.#width = this.#root.clientWidth;
    }).observe(root);
    store.on(
      ["model", "layers", "layer", "input", "channel", "unit", "maps", "theme", "colours"],
      this.#refresh,
    );
  }

  #chooseChannel(channel) {
    this.#picked = this.#picked === channel ? null : channel;
    this.#refresh();
  }

  /** What is chosen, if it is complete. */
  #chosen() {
    const { model, layers, layer: index, input, channel, unit, maps } = this.#store.state;
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

  #show() {
    const asked = this.#chosen();
    this.#root.hidden = this.#store.state.layers.status === "idle";
    const waiting = this.#store.state.layers.status === "loading";
    if (!asked || (asked.served && unfit(asked)))
      return this.#say(waiting ? "loading" : "none", "");
    const reason = unexplained(asked.layer);
    if (reason) return this.#say("unexplained", element("p", { class: "notice" }, reason));
    if (this.#shown && this.#shown.asked.key !== asked.key) this.#reset(asked);
    if (!this.#shown && !this.#failed) this.#text.textContent = "";
    if (!this.#inView || this.#failed === asked.key) return undefined;
    const found = this.#numbers.at(asked);
    if (found) return this.#present(asked, found);
    return this.#load(asked);
  }

  #reset(asked) {
    this.#player.stop();
    this.#sweep = null;
    this.#player.report("");
    if (this.#shown.asked.layer !== asked.layer) {
      this.#picked = null;
      this.#rows.fold();
    }
  }

  #say(status, child) {
    this.#controller.abort();
    this.#loading = "";
    this.#player.stop();
    this.#shown = null;
    this.#root.dataset.status = status;
    for (const key of ["sum", "served", "bias", "post"]) delete this.#root.dataset[key];
    this.#about.textContent = "";
    const nothing = "Give the network an input and choose a unit: its arithmetic is shown here.";
    this.#text.textContent = status === "none" ? nothing : "";
    this.#notice.replaceChildren(child);
    this.#body.hidden = true;
  }

  async #load(asked) {
    const key = `${asked.key} ${asked.unit}`;
    if (this.#loading === key) return;
    this.#controller.abort();
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    this.#loading = key;
    this.#root.dataset.status = "loading";
    this.#body.classList.add("stale");
    if (this.#body.hidden)
      this.#notice.replaceChildren(
        element("p", { class: "notice" }, "Fetching what this layer reads …"),
      );
    try {
      await this.#numbers.load(asked, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#failed = asked.key;
      this.#say(
        "failed",
        failure(error, () => this.#retry()),
      );
      return;
    }
    if (signal.aborted) return;
    this.#loading = "";
    this.#refresh();
  }

  #retry() {
    this.#failed = "";
    this.#refresh();
  }

  #present(asked, found) {
    const explained = explain(asked.layer, found, asked.channel, asked.unit);
    const view = this.#viewOf(asked, found, explained);
    this.#shown = view;
    this.#loading = this.#failed = "";
    this.#body.hidden = false;
    this.#body.classList.remove("stale");
    this.#notice.replaceChildren();
    const at = asked.unit.length ? `, unit ${asked.unit.join(", ")}` : "";
    this.#about.textContent = `${asked.layer.name} (${asked.layer.operator}), channel ${asked.channel}${at}`;
    this.#text.textContent = caption(asked.layer, explained);
    this.#player.root.hidden = found.pre.length < 2;
    this.#board.hidden = asked.layer.kind === "dense";
    this.#stage.draw(view);
    this.#ledger.show(view);
    this.#rows.draw(view);
    const { general, here } = formula(asked.layer, explained, asked.channel, asked.unit);
    this.#formulas.replaceChildren(element("p", {}, general), element("p", {}, here));
    this.#expose(asked, view);
  }

  #expose({ channel, unit, layer }, { found, served, post }) {
    const { dataset } = this.#root;
    dataset.status = "ready";
    dataset.sum = String(found.total);
    dataset.served = String(served);
    dataset.bias = found.bias === null ? "" : String(found.bias);
    dataset.post = post === null ? "" : String(post);
    dataset.place = `${layer.index}/${channel}/${unit.join(",")}`;
  }

  /** All that the parts need to draw one unit. */
  #viewOf(asked, got, found) {
    const { layer, channel, unit, served: maps } = asked;
    const { colours } = this.#store.state;
    const strongest = found.rows.reduce((best, row) =>
      Math.abs(row.sum) > Math.abs(best.sum) ? row : best,
    );
    const row = found.rows.find((each) => each.channel === this.#picked) ?? strongest;
    const values = this.#sweep?.values ?? got.pre.map(place(got.pre, channel));
    const range = got.pre.range(place(got.pre, channel));
    return {
      asked,
      layer,
      found,
      row,
      unit,
      colours,
      picked: this.#picked,
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
        partly: this.#sweep !== null,
      },
      pre: got.pre,
      served: got.pre.at(place(got.pre, channel), unit),
      post: maps ? maps.at(channel, unit) : null,
    };
  }

  #move(steps) {
    if (!this.#shown) return false;
    const { channel, unit } = this.#store.state;
    const { size } = this.#shown.pre;
    const next = onward(unit, size, steps);
    if (next === null) return false;
    if (this.#sweep) {
      const from = offset(unit, size);
      this.#sweep.reveal(Math.min(from, next), Math.max(from, next));
      this.#player.report(this.#sweep.report);
    }
    this.#sources.chooseUnit(channel, positionOf(next, size));
    return true;
  }

  /** Playing goes on where it stopped, or begins in the first corner. */
  #began() {
    if (!this.#shown) return;
    const { asked, pre } = this.#shown;
    this.#store.set({ playing: true });
    this.#rows.fold();
    const last = onward(this.#store.state.unit, pre.size, 1) === null;
    if (!this.#sweep || last) {
      this.#sweep = new Sweep(
        asked.key,
        asked.layer,
        this.#numbers.at(asked) ?? { pre },
        asked.channel,
      );
      this.#sweep.reveal(0, 0);
      this.#sources.chooseUnit(asked.channel, positionOf(0, pre.size));
    }
    this.#player.report(this.#sweep.report);
    this.#refresh();
  }

  #ended() {
    this.#store.set({ playing: false });
  }

  #clear() {
    this.#sweep = null;
    this.#player.report("");
    this.#refresh();
  }
}

export const mount = (root, store, sources) => new ConvolutionView(root, store, sources);

const unfit = ({ served, unit, channel }) =>
  unit.length !== served.size.length || channel >= served.channels;

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
