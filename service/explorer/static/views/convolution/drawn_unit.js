/**
 * What the parts of the arithmetic draw of one unit: the maps that are read, the window on them,
 * the output's map.
 */

import { colour } from "../../dom.js";
import { scaleFor } from "../../palette.js";
import { windowOf } from "./arithmetic.js";

/** @typedef {ReturnType<typeof drawnUnit>} DrawnUnit */

/** All that the parts need to draw one unit. */
export function drawnUnit(asked, got, found, { picked, sweep, colours }) {
  const { layer, channel, unit, served: maps } = asked;
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

/** Where a channel's map lies among those that were fetched. */
const place = (maps, channel) => Math.max(maps.numbers.indexOf(channel), 0);

/**
 * What the operator reads, to be drawn: of a merge each tensor, else the channel of the chosen row.
 */
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
