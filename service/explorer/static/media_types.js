/** What a model takes as its input, and which media type a file is posted as. */

import { times } from "./dom.js";

/** @typedef {import("./state.js").ModelSummary} Summary */

/** @type {Record<string, string>} */
const ENDINGS = { npy: "application/x-npy", csv: "text/csv", json: "application/json" };
const PICTURES = "image/*";
/** @type {Record<string, string>} */
const PLURALS = { image: "picture", signal: "signal", volume: "volume" };

/**
 * The chosen model as `GET /models` describes it.
 * @param {import("./state.js").State} state
 * @returns {Summary | null}
 */
export function chosenModel({ scene: { model }, models }) {
  return models.value?.models.find((each) => each.name === model?.split(":")[0]) ?? null;
}

/**
 * What the model takes, in one line.
 * @param {Summary} summary
 */
export function takes({ input, card }) {
  const [, ...sizes] = input.shape.map((size) => (typeof size === "number" ? size : "any"));
  switch (input.kind) {
    case "image":
      return `Takes a picture${ofDigit(card) ? " of one digit" : ""}, any size.`;
    case "signal":
      return `Takes a signal of ${times(sizes)} samples, as CSV, JSON or .npy.`;
    case "volume":
      return `Takes a volume of ${times(sizes)} voxels, as .npy or JSON.`;
    default:
      return `Takes numbers of ${times(sizes)}, as .npy or JSON: the file has no card that says more.`;
  }
}

/**
 * Whether the network is given the ink of one digit, wherever it lies in the picture.
 * @param {import("./state.js").Card | null | undefined} card
 */
export const ofDigit = (card) => card?.input?.resize?.rule === "digit";

/**
 * What the model takes, in a word.
 * @param {Summary} summary
 */
export const noun = ({ input }) => PLURALS[input.kind ?? ""] ?? "file of numbers";

/**
 * For the `accept` of a file picker.
 * @param {Summary} summary
 */
export function accept({ input }) {
  const endings = input.kind === "signal" ? [".csv", ".json", ".npy"] : [".npy", ".json"];
  return [...(input.kind === "image" ? [PICTURES] : []), ...endings].join(",");
}

/**
 * The same bytes with the media type that the API knows them by.
 * @param {File} file
 */
export function typed(file) {
  const ending = /\.([^.]+)$/.exec(file.name ?? "")?.[1].toLowerCase();
  const known =
    ENDINGS[ending ?? ""] ??
    (file.type.startsWith("image/") ? file.type : "application/octet-stream");
  return file.slice(0, file.size, known);
}

/**
 * Whether it is worth while to give a model what another model was given: a picture is nothing for
 * one of signals.
 * @param {Summary} summary
 * @param {Blob} blob
 */
export const mayTake = ({ input }, blob) =>
  blob.type.startsWith("image/") === (input.kind === "image");

/**
 * Whether the API says that what was given is at fault, and no other input would be.
 * @param {any} error
 */
export const refused = (error) => [400, 404, 413, 415, 422].includes(error?.status);
