/**
 * The output map as it comes about while the kernel slides over the input: computed here, one unit
 * after another.
 */

import { agrees, explain } from "./arithmetic.js";
import { offset, positionOf } from "../../maps.js";
import { minus } from "./text.js";

export class Sweep {
  /** `numbers.pre` are the served maps, whose values are compared. */
  constructor(key, layer, numbers, channel) {
    this.key = key;
    this.count = 0;
    this.worst = 0;
    this.unequal = 0;
    this.values = new Float32Array(numbers.pre.length).fill(NaN);
    this.layer = layer;
    this.numbers = numbers;
    this.channel = channel;
  }

  /** Compute what lies between two places, both included, where that was not done yet. */
  reveal(from, to) {
    const { pre } = this.numbers;
    for (let place = from; place <= to; place += 1) {
      if (!Number.isNaN(this.values[place])) continue;
      const explanation = explain(
        this.layer,
        this.numbers,
        this.channel,
        positionOf(place, pre.size),
      );
      const served = pre.data[place];
      this.values[place] = explanation.total;
      this.count += 1;
      this.worst = Math.max(this.worst, Math.abs(explanation.total - served));
      if (!agrees(explanation, served)) this.unequal += 1;
    }
  }

  /** What has been computed, in words. */
  get report() {
    const counted = `${this.count} of ${this.values.length} values computed here; `;
    const worst = minus(this.worst.toExponential(1));
    if (this.unequal > 0) {
      return `${counted}${this.unequal} of them not equal to the served map, by ${worst} at most`;
    }
    return `${counted}all equal to the served map${this.worst > 0 ? ` to float32 rounding (${worst} at most)` : ""}`;
  }
}

/** Where a kernel goes next: on by steps, or to the end of the next row; null at either end. */
export function onward(unit, size, steps) {
  const length = size.reduce((product, each) => product * each, 1);
  const place = offset(unit, size);
  const width = size.at(-1);
  const rowEnd = place - (place % width) + width - 1;
  const next =
    steps === "row"
      ? place === rowEnd
        ? Math.min(place + width, length - 1)
        : rowEnd
      : place + steps;
  return next < 0 || next >= length || next === place ? null : next;
}

const KEYS = {
  ArrowLeft: [-1, -1],
  ArrowRight: [-1, 1],
  ArrowUp: [-2, -1],
  ArrowDown: [-2, 1],
  PageUp: [-3, -1],
  PageDown: [-3, 1],
};

/** The unit that an arrow key leads to: null if the key moves nothing there. */
export function neighbour(unit, size, key) {
  const [axis, step] = KEYS[key] ?? [];
  if (axis === undefined || -axis > size.length) return null;
  const next = unit.at(axis) + step;
  return next < 0 || next >= size.at(axis) ? null : unit.with(axis, next);
}
