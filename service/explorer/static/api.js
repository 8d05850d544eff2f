/**
 * The public REST API; the only module that fetches. Every function takes a signal that aborts it.
 */

import { Maps } from "./maps.js";
import { parseNpy } from "./npy.js";

const ROOT = new URL("./", document.baseURI);
export const NPY = "application/x-npy";

/** What the API answered instead: an RFC 9457 problem, or the network failing. */
export class Problem extends Error {
  /**
   * @param {string} title
   * @param {string} detail
   */
  constructor(title, detail, status = 0, type = "") {
    super(detail);
    this.name = "Problem";
    this.title = title;
    this.status = status;
    this.type = type;
  }
}

/**
 * The address of a route; values of `query` that are null or undefined are left out, lists are
 * repeated.
 * @param {string} path
 * @param {Record<string, any>} [query]
 */
export function address(path, query = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) {
      if (each !== null && each !== undefined) url.searchParams.append(name, String(each));
    }
  }
  return url;
}

const BUSY = 429;
/**
 * How often a busy service is asked again, and how long it is waited for in between: milliseconds.
 */
const PATIENCE = 2;
const LONGEST = 2000;

/**
 * @param {URL} url
 * @param {RequestInit} options
 * @param {number} patience How often a busy service is asked again.
 * @returns {Promise<Response>}
 */
async function ask(url, options, patience = PATIENCE) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(
      "No answer",
      "the service does not answer; is it running, and is the network up?",
    );
  }
  if (response.status === BUSY && patience > 0) {
    const seconds = Number(response.headers.get("retry-after") ?? LONGEST);
    await pause(Math.min(seconds * 1000, LONGEST), options.signal ?? undefined);
    return ask(url, options, patience - 1);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/**
 * @param {number} time
 * @param {AbortSignal} [signal]
 */
function pause(time, signal) {
  return new Promise((done, fail) => {
    const timer = setTimeout(done, time);
    const stop = () => {
      clearTimeout(timer);
      fail(signal?.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** @param {Response} response */
async function problemOf(response) {
  const fallback = new Problem(
    response.statusText || "Failed",
    `the service answered ${response.status}`,
    response.status,
  );
  if (!response.headers.get("content-type")?.startsWith("application/problem+json"))
    return fallback;
  try {
    const { title, detail, status, type } = await response.json();
    return new Problem(title, detail ?? title, status, type);
  } catch {
    return fallback;
  }
}

/**
 * @param {URL} url
 * @param {AbortSignal} signal
 */
const json = async (url, signal) =>
  (await ask(url, { signal, headers: { Accept: "application/json" } })).json();

/** @param {AbortSignal} signal */
export const models = (signal) => json(address("models"), signal);

/**
 * @param {string | null} model
 * @param {AbortSignal} signal
 */
export const samples = (model, signal) =>
  json(address(`models/${encodeURIComponent(String(model))}/samples`), signal);

/**
 * @param {string | null} model
 * @param {string} file
 */
export const sampleAddress = (model, file) =>
  address(`models/${encodeURIComponent(String(model))}/samples/${encodeURIComponent(file)}`);

/**
 * @param {string | null} model
 * @param {AbortSignal} signal
 */
export const layers = (model, signal) => json(address("layers", { model }), signal);

/**
 * @param {URL} url
 * @param {AbortSignal} [signal]
 * @param {string} [accept] A media type.
 */
export async function blob(url, signal, accept) {
  return (await ask(url, { signal, headers: accept ? { Accept: accept } : {} })).blob();
}

/**
 * @param {string} id
 * @param {Record<string, any>} [query]
 */
export const inputAddress = (id, query = {}) => address(`inputs/${id}`, query);

/**
 * What the network is given: a picture as Blob, numbers as tensor.
 * @param {string | null} model
 * @param {string} id
 * @param {AbortSignal} signal
 */
export async function networkView(model, id, signal) {
  const response = await ask(inputAddress(id, { view: "network", model }), { signal });
  return response.headers.get("content-type") === NPY
    ? parseNpy(await response.arrayBuffer())
    : response.blob();
}

/**
 * @param {Blob} body
 * @param {AbortSignal} signal
 * @returns {RequestInit}
 */
const posting = (body, signal) => ({
  method: "POST",
  body,
  headers: body.type ? { "Content-Type": body.type } : {},
  signal,
});

/**
 * @param {Blob} body
 * @param {string | null} model
 * @param {AbortSignal} signal
 */
export const predict = async (model, body, signal) =>
  (await ask(address("predict", { model }), posting(body, signal))).json();

/**
 * The id of an input, for a network whose output is no list of classes.
 * @param {string | null} model
 * @param {Blob} body
 * @param {AbortSignal} signal
 */
export async function keep(model, body, signal) {
  const url = address("layers/0/activations", { model, units: 0 });
  return (await (await ask(url, posting(body, signal))).json()).input_id;
}

/**
 * Where a layer's activations are; `choice` holds tap, operand, channel, strongest, units.
 * @param {string | null} model
 * @param {number} layer
 * @param {string | null} id
 * @param {Record<string, any>} [choice]
 */
export const activationsAddress = (model, layer, id, choice = {}) =>
  address(`layers/${layer}/activations`, { input_id: id, model, ...choice });

/**
 * A layer's activations.
 * @param {string | null} model
 * @param {{index: number, channel_axis: number | null}} layer As the API lists it.
 * @param {string} id The input's.
 * @param {Record<string, any>} choice
 * @param {AbortSignal} signal
 * @returns {Promise<Maps>}
 */
export async function activations(model, layer, id, choice, signal) {
  const url = activationsAddress(model, layer.index, id, choice);
  const response = await ask(url, { signal, headers: { Accept: NPY } });
  const numbers = response.headers.get("x-channels")?.split(",").map(Number);
  return new Maps(parseNpy(await response.arrayBuffer()), layer.channel_axis, numbers);
}

/**
 * @param {string | null} model
 * @param {number} layer
 * @param {Record<string, any>} query
 * @param {AbortSignal} signal
 */
export const receptiveFields = (model, layer, query, signal) =>
  json(address(`layers/${layer}/receptive-fields`, { model, ...query }), signal);

/**
 * @param {string | null} model
 * @param {number} layer
 * @param {Record<string, any>} query
 * @param {AbortSignal} signal
 */
export const pyramid = (model, layer, query, signal) =>
  json(address(`layers/${layer}/pyramid`, { model, ...query }), signal);

/**
 * The kernels of some outputs as JSON: with `bias` and `channels`.
 * @param {string | null} model
 * @param {number | null} layer
 * @param {number[]} channels
 * @param {AbortSignal} signal
 */
export const kernels = (model, layer, channels, signal) =>
  json(address(`layers/${layer}/kernels`, { model, channel: channels }), signal);

/**
 * The kernels of a layer, [out, in, ...]: of all outputs, or of one.
 * @param {string | null} model
 * @param {number | null} layer
 * @param {AbortSignal} signal
 * @param {number | null} [channel]
 */
export async function kernelTensor(model, layer, signal, channel = null) {
  const url = address(`layers/${layer}/kernels`, { model, channel });
  return parseNpy(await (await ask(url, { signal, headers: { Accept: NPY } })).arrayBuffer());
}
