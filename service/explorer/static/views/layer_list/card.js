/** A layer as a card of the strip. */

import { element, many, times } from "../../dom.js";

const TAIL = 16;

/**
 * @param {object} layer As the API lists it.
 * @param {number | null} channelsIn Of what it reads.
 * @param {boolean} low Whether there is room for the most important lines only.
 * @returns {{card: HTMLElement, figure: HTMLElement, canvas: HTMLCanvasElement}}
 */
export function layerCard(layer, channelsIn, low) {
  const small = layer.kind === "merge";
  const canvas = element("canvas", { "aria-hidden": "true" });
  const figure = element("div", { class: "strip-figure" }, canvas);
  const shape = times(layer.output_shape);
  const most = [operationOf(layer), shape, sightOf(layer)];
  const lines = [
    kindOf(layer, channelsIn),
    operationOf(layer),
    shape,
    parametersOf(layer),
    sightOf(layer),
  ];
  const name = small
    ? [layer.operator, element("span", { class: "unseen" }, ` ${layer.name}`)]
    : nameParts(layer.name);
  const shown = small ? [shape] : low ? most : lines;
  const card = element(
    "div",
    {
      role: "option",
      class: `strip-card${small ? " small" : ""}`,
      tabIndex: -1,
      id: `strip-layer-${layer.index}`,
      title: [`${layer.index}: ${layer.name}`, ...lines].filter(Boolean).join("\n"),
      "aria-selected": "false",
      "data-index": layer.index,
      "data-kind": layer.kind,
    },
    figure,
    element("span", { class: "strip-title" }, element("b", {}, String(layer.index)), " ", ...name),
    ...shown.map((text) => element("span", { class: "strip-line" }, text)),
  );
  return { card, figure, canvas };
}

/** A long name loses its middle: the end says which layer of a block it is. */
function nameParts(name) {
  const cut = Math.max(name.length - TAIL, 0);
  const border = name.slice(cut).search(/[./]/);
  const start = cut > 0 && border > 0 ? cut + border + 1 : cut;
  return [
    element("span", { class: "strip-name" }, name.slice(0, start)),
    element("span", { class: "strip-tail" }, name.slice(start)),
  ];
}

const product = (sizes) => sizes.reduce((found, size) => found * size, 1);

function kindOf({ kind, groups, output_shape: shape, channel_axis: axis }, channelsIn) {
  const name = kind.replaceAll("_", " ");
  if (groups === null || groups <= 1) return name;
  return groups === (channelsIn ?? shape[axis]) ? `depthwise ${name}` : `${name}, ${groups} groups`;
}

/** The operator, its kernel, stride and dilation: `Conv 3 × 3 /2`. */
function operationOf({ operator, kernel_shape: kernel, strides, dilations }) {
  const parts = [operator];
  if (kernel) parts.push(times(kernel));
  if (strides?.some((each) => each !== 1)) parts.push(`/${brief(strides)}`);
  if (kernel && dilations && product(dilations) !== 1) parts.push(`dilated ${brief(dilations)}`);
  return parts.join(" ");
}

const brief = (sizes) =>
  sizes.every((size) => size === sizes[0]) ? String(sizes[0]) : times(sizes);

const parametersOf = ({ parameters }) =>
  parameters === 0 ? "no parameters" : `${many(parameters)} parameters`;

/** How much of the input a unit sees. */
export function sightOf({ receptive_field: { status, size } }) {
  if (status === "whole_input") return "sees everything";
  if (!size) return "sees a varying part";
  return status === "upper_bound" ? `sees ≤ ${times(size)}` : `sees ${times(size)}`;
}

/** Whether a layer has all these words in its index, name, kind or operator. */
export function matches(layer, words) {
  const text =
    `${layer.index} ${layer.name} ${layer.kind.replaceAll("_", " ")} ${layer.operator}`.toLowerCase();
  const exact = (word) => String(layer.index) === word || layer.name.includes(word);
  return words.every((word) => (isNumber(word) ? exact(word) : text.includes(word)));
}

const isNumber = (word) => /^\d+$/.test(word);
