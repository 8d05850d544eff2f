/** How a class of a prediction is written. */

import { short } from "./dom.js";

/**
 * @typedef {{index: number, label: string | null, probability: number | null}} Class As `POST
 * /predict` answers.
 */

// A softmax in single precision may say a little more than 1.
const MOST = 1.001;

/** @param {Class} found */
export const nameOf = ({ label, index }) => label ?? `class ${index}`;

/**
 * Whether a network's answers are probabilities: one without a softmax at its end answers with
 * scores of any size.
 * @param {Class[]} classes
 */
export const areProbabilities = (classes) =>
  classes.every(({ probability: value }) => value === null || (value >= 0 && value <= MOST));

/**
 * Of one of these classes: 95.3 %, or its score.
 * @param {Class} found
 * @param {Class[]} classes
 */
export function amount({ probability }, classes) {
  return areProbabilities(classes) ? percent(probability) : short(probability);
}

/**
 * How long its bar is, from 0 to 1: of scores, the largest has the longest.
 * @param {Class} found
 * @param {Class[]} classes
 */
export function share({ probability }, classes) {
  const full = areProbabilities(classes)
    ? 1
    : Math.max(...classes.map((each) => each.probability ?? 0));
  return full > 0 ? Math.min(Math.max((probability ?? 0) / full, 0), 1) : 0;
}

/**
 * 95.3 %; what is there is not called nothing.
 * @param {number | null} probability
 */
export function percent(probability) {
  if (probability === null) return "not a number";
  return probability > 0 && probability < 0.0005
    ? "< 0.1 %"
    : `${(100 * probability).toFixed(1)} %`;
}
