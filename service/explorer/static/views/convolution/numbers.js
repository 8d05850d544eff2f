/**
 * Fetches and keeps the numbers of an explanation: what the layer reads, one output's kernel, and
 * what was served.
 */

import * as api from "../../api.js";
import { needs } from "./arithmetic.js";

const PARTS_KEPT = 24;

/**
 * @typedef {{model: string, layer: object, input: string, channel: number, unit: number[]}} Asked
 */

export function createNumbers() {
  /** @type {Map<string, any>} Least recently used first. */
  const kept = new Map();

  function take(key) {
    const value = kept.get(key);
    if (value !== undefined) {
      kept.delete(key);
      kept.set(key, value);
    }
    return value;
  }

  async function fetched({ key, fetching }, signal) {
    const value = take(key) ?? (await fetching(signal));
    kept.set(key, value);
    if (kept.size > PARTS_KEPT) kept.delete(kept.keys().next().value);
    return value;
  }

  return {
    /** The numbers, if all are here already; else null. */
    at(asked) {
      const { operands, kernel, pre } = partsOf(asked);
      const values = present(operands, kernel, pre).map(({ key }) => take(key));
      return values.includes(undefined) ? null : put(operands, kernel, values);
    },

    /** @param {Asked} asked @param {AbortSignal} signal */
    async load(asked, signal) {
      const { operands, kernel, pre } = partsOf(asked);
      const values = await Promise.all(
        present(operands, kernel, pre).map((part) => fetched(part, signal)),
      );
      return put(operands, kernel, values);
    },
  };
}

/** Those parts that there are. */
const present = (operands, kernel, pre) => [...operands, ...(kernel ? [kernel] : []), pre];

function put(operands, kernel, found) {
  const maps = [];
  operands.forEach(({ operand }, place) => (maps[operand] = found[place]));
  const weights = kernel ? found[operands.length] : null;
  return { operands: maps, kernel: weights, bias: weights?.bias ?? null, pre: found.at(-1) };
}

/** Each part with the name it is kept by, and how it is fetched. */
function partsOf({ model, layer, input, channel, unit }) {
  const needed = needs(layer, channel, unit);
  const place = `${model} ${layer.index}`;
  return {
    operands: needed.operands.map(({ operand, channels }) => ({
      operand,
      key: `${place} ${input} ${operand} ${channels ?? "all"}`,
      fetching: (signal) => operandOf(model, layer, input, operand, channels, signal),
    })),
    kernel:
      needed.kernel === null
        ? null
        : {
            key: `${place} kernel ${needed.kernel}`,
            fetching: (signal) => kernelOf(model, layer, needed.kernel, signal),
          },
    pre: {
      key: `${place} ${input} pre ${channel}`,
      fetching: (signal) =>
        api.activations(model, layer, input, { tap: "pre", channel: [channel] }, signal),
    },
  };
}

function operandOf(model, layer, input, operand, channels, signal) {
  const read = { index: layer.index, channel_axis: layer.operands[operand].channel_axis };
  return api.activations(model, read, input, { tap: "input", operand, channel: channels }, signal);
}

async function kernelOf(model, layer, channel, signal) {
  const { shape, kernels, bias } = await api.kernels(model, layer.index, [channel], signal);
  return { shape: shape.slice(1), weights: kernels.flat(Infinity), bias: bias?.[0] ?? null };
}
