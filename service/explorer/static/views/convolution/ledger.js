/**
 * The sum as a line of numbers: what was computed here, what the service served, and what becomes
 * of it.
 */

import { element } from "../../dom.js";
import { agrees } from "./arithmetic.js";
import { exact, minus } from "./text.js";

export function createLedger() {
  const root = element("div", {
    class: "convolution-ledger",
    role: "group",
    "aria-label": "The sum",
  });

  return {
    root,
    /**
     * @param {{layer: object, found: object, served: number, post: number | null, row: object}}
     * view
     */
    show(view) {
      const { found, served, post } = view;
      const equal = agrees(found, served);
      const between = found.total === served ? "=" : equal ? "≈" : "≠";
      root.classList.toggle("unequal", !equal);
      root.replaceChildren(
        element(
          "div",
          { class: "convolution-sumline" },
          ...terms(view),
          chip("computed here", found.total, "total"),
          sign(between),
          chip("served by the API", served, "served"),
          ...(post === null ? [] : [sign("→"), chip(afterwards(served, post), post)]),
        ),
        verdict(found, served, equal),
      );
    },
  };
}

function terms(view) {
  const { found, layer } = view;
  const weighed = found.rows.reduce((all, row) => all + row.sum, 0);
  const writers = {
    weighted: () => [
      chip(summing(layer, found), weighed),
      ...(found.bias === null ? [] : [sign("+"), chip("bias", found.bias)]),
      sign("="),
    ],
    mean: () => [
      chip(`Σ of ${found.divisor} numbers`, found.rows[0].sum),
      sign("÷"),
      chip("how many", found.divisor),
      sign("="),
    ],
    maximum: () => [sign(`max of ${found.rows[0].inside.filter(Boolean).length} numbers =`)],
    sum: () => joined(view, "+"),
    product: () => joined(view, "×"),
    copy: () => [
      sign(`channel ${found.rows[0].channel} of ${layer.operands[found.rows[0].operand].name} =`),
    ],
  };
  return writers[found.how]();
}

const joined = ({ found, inputs }, operator) =>
  found.rows.flatMap((row, place) => [
    chip(inputs[place].title, row.sum),
    sign(place < found.rows.length - 1 ? operator : "="),
  ]);

function summing(layer, { rows }) {
  if (layer.kind === "dense") return `Σ over ${rows.length} inputs`;
  return rows.length > 1 ? `Σ over ${rows.length} channels` : "Σ of the products";
}

function verdict({ total }, served, equal) {
  const size = minus(Math.abs(total - served).toExponential(1));
  const text =
    total === served
      ? "What was computed here from the served numbers is exactly what the service computed."
      : equal
        ? `Equal to float32 rounding: the two differ by ${size}.`
        : `Not equal: the two differ by ${size}. The service computed this layer in another way, ` +
          "in integers or in fewer bits for instance.";
  return element("p", { class: `convolution-verdict ${equal ? "good" : "bad"}` }, text);
}

function afterwards(served, post) {
  if (post === served) return "unchanged by what follows";
  if (served < 0 && post === 0) return "after the activation: nothing below 0";
  return "after the activation function";
}

const sign = (text) => element("span", { class: "convolution-sign" }, text);

const chip = (label, value, kind = "") =>
  element(
    "span",
    { class: `convolution-chip ${kind}` },
    element("span", { class: "number", title: String(value) }, exact(value)),
    element("span", { class: "small soft" }, label),
  );
