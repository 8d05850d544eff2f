/** How the chosen unit's value comes about, step by step, beside the value that was served. */

import { explain, unexplained } from "./convolution/arithmetic.js";
import { closest, element, failure, isCommand, watchView } from "../dom.js";
import { offset, positionOf } from "../maps.js";
import { eachFrame } from "../store.js";
import { drawnUnit } from "./convolution/drawn_unit.js";
import { createLedger } from "./convolution/ledger.js";
import { createNumbers } from "./convolution/numbers.js";
import { Player } from "./convolution/player.js";
import { createRows } from "./convolution/rows.js";
import { Stage } from "./convolution/stage.js";
import { neighbour, onward, Sweep } from "./convolution/sweep.js";
import { caption, formula } from "./convolution/text.js";

class ConvolutionView {
  #root;
  #store;
  #actions;
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
    choose: (unit) => this.#actions.chooseUnit(this.#store.state.channel, unit),
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
  /** @type {number | null} */
  #picked = null;
  /** @type {import("./convolution/drawn_unit.js").DrawnUnit | null} */
  #shown = null;
  /** @type {Sweep | null} */
  #sweep = null;
  #refresh = eachFrame(() => this.#show());
  #width = 0;

  constructor(root, store, actions) {
    this.#root = root;
    this.#store = store;
    this.#actions = actions;
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
      if (!this.#shown || closest(event, "select, button") || isCommand(event)) return;
      const next = neighbour(this.#store.state.unit, this.#shown.pre.size, event.key);
      if (next) {
        this.#player.stop();
        this.#actions.chooseUnit(this.#store.state.channel, next);
      } else if (event.key === " ") this.#player.toggle();
      if (next || event.key === " ") event.preventDefault();
    });
    watchView(root, "120px", (inView) => {
      this.#inView = inView;
      if (!inView) this.#player.stop();
      this.#refresh();
    });
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
    const {
      scene: { model, layer: index, input, maps },
      layers,
      channel,
      unit,
    } = this.#store.state;
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
    const { status } = this.#store.state.layers;
    this.#root.hidden = status === "idle";
    if (!asked || (asked.served && unfit(asked))) {
      this.#say(status === "loading" ? "loading" : "none", "");
      return;
    }
    const reason = unexplained(asked.layer);
    if (reason) this.#say("unexplained", element("p", { class: "notice" }, reason));
    else this.#explain(asked);
  }

  #explain(asked) {
    if (this.#shown && this.#shown.asked.key !== asked.key) this.#reset(asked);
    if (!this.#shown && !this.#failed) this.#text.textContent = "";
    if (!this.#inView || this.#failed === asked.key) return;
    const numbers = this.#numbers.at(asked);
    if (numbers) this.#present(asked, numbers);
    else this.#load(asked);
  }

  #reset(asked) {
    this.#player.stop();
    this.#sweep = null;
    this.#player.report("");
    if (this.#shown?.asked.layer !== asked.layer) {
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
    const view = drawnUnit(asked, found, explained, {
      picked: this.#picked,
      sweep: this.#sweep,
      colours: this.#store.state.colours,
    });
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
    this.#actions.chooseUnit(channel, positionOf(next, size));
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
      this.#actions.chooseUnit(asked.channel, positionOf(0, pre.size));
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

export const mount = (root, store, actions) => new ConvolutionView(root, store, actions);

const unfit = ({ served, unit, channel }) =>
  unit.length !== served.size.length || channel >= served.channels;
