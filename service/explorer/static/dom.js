/** Making elements. */

/**
 * An element with properties and children: `element("button", {type: "button", onclick}, "Play")`.
 * Keys are properties of the element, or attributes where they hold a dash or are `role`, `for` or `class`.
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null | undefined | false)} children
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  return fill(made, properties, children);
}

const SVG = "http://www.w3.org/2000/svg";

/** The same for SVG: all keys are attributes. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, String(value));
  }
  made.append(...children.filter(Boolean));
  return made;
}

function fill(made, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "for" || key === "class") {
      made.setAttribute(key, value);
    } else {
      made[key] = value;
    }
  }
  made.append(
    ...children.filter((child) => child !== null && child !== undefined && child !== false),
  );
  return made;
}

/** What went wrong, in the API's own words, with a way to try again. */
export function failure(error, retry) {
  const text = [error.title, error.message]
    .filter((part, place, all) => part && all.indexOf(part) === place)
    .join(": ");
  return element(
    "p",
    { class: "notice failed", role: "alert" },
    text,
    retry && " ",
    retry && element("button", { type: "button", class: "quiet", onclick: retry }, "Try again"),
  );
}

/** A value for reading: four significant digits; the exact one belongs into a title. */
export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "not a number";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** 4631000 as 4.63 M. */
export function many(count) {
  if (count === null) return "?";
  if (count < 1e4) return String(count);
  const [size, unit] = count < 1e6 ? [1e3, "k"] : count < 1e9 ? [1e6, "M"] : [1e9, "G"];
  return `${Number((count / size).toPrecision(3))} ${unit}`;
}

/** Sizes as people write them: 32 × 112 × 112. */
export function times(sizes) {
  return sizes.map((size) => size ?? "?").join(" × ");
}

/**
 * A canvas that is sharp on any screen: `width` and `height` in CSS pixels; its context draws in CSS pixels.
 * @param {HTMLCanvasElement} canvas
 */
export function sharpen(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
  }
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** The page's colours for painting, as they are now: `colour("--accent")`. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
