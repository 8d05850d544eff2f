/** Making elements. */

/**
 * The nearest element around an event's target that a selector fits.
 * @param {Event} event
 * @param {string} selector
 */
export const closest = ({ target }, selector) =>
  /** @type {HTMLElement | null} */ (target instanceof Element ? target.closest(selector) : null);

/**
 * Whether a key is pressed with another that makes it a command of the browser's.
 * @param {KeyboardEvent} event
 */
export const isCommand = ({ altKey, ctrlKey, metaKey }) => altKey || ctrlKey || metaKey;

/**
 * Call `changed` when an element comes into view or leaves it; `rootMargin` is how near counts as
 * in view.
 * @param {Element} node
 * @param {string} rootMargin
 * @param {(inView: boolean) => void} changed
 */
export function watchView(node, rootMargin, changed) {
  const observer = new IntersectionObserver((entries) => changed(entries.at(-1).isIntersecting), {
    rootMargin,
  });
  observer.observe(node);
}

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * The element of the page with this id, which is there.
 * @param {string} id
 */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * An element with properties and children: `element("button", {type: "button", onclick}, "Play")`.
 * Keys are properties of the element, or attributes where they hold a dash or are `role`, `for` or
 * `class`.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties]
 * @param {...Child} children
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  fill(made, properties);
  made.append(...children.filter(isShown));
  return made;
}

/**
 * @param {Child} child
 * @returns {child is Node | string}
 */
const isShown = (child) => child !== null && child !== undefined && child !== false;

const SVG = "http://www.w3.org/2000/svg";

/**
 * The same for SVG: all keys are attributes.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, String(value));
  }
  made.append(...children.filter(isShown));
  return made;
}

/**
 * @param {any} made
 * @param {Record<string, any>} properties
 */
function fill(made, properties) {
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "for" || key === "class") {
      made.setAttribute(key, value);
    } else {
      made[key] = value;
    }
  }
}

/**
 * What went wrong, in the API's own words, with a way to try again.
 * @param {any} error
 * @param {() => void} [retry]
 */
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

/**
 * A value for reading: four significant digits; the exact one belongs into a title.
 * @param {number | null | undefined} value
 */
export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "not a number";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/**
 * 4631000 as 4.63 M.
 * @param {number | null} count
 */
export function many(count) {
  if (count === null) return "?";
  if (count < 1e4) return String(count);
  const [size, unit] = count < 1e6 ? [1e3, "k"] : count < 1e9 ? [1e6, "M"] : [1e9, "G"];
  return `${Number((count / size).toPrecision(3))} ${unit}`;
}

/**
 * Sizes as people write them: 32 × 112 × 112.
 * @param {(number | string | null)[]} sizes
 */
export function times(sizes) {
  return sizes.map((size) => size ?? "?").join(" × ");
}

/**
 * A canvas that is sharp on any screen: `width` and `height` in CSS pixels; its context draws in
 * CSS pixels.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
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
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/**
 * The page's colours for painting, as they are now: `colour("--accent")`.
 * @param {string} name
 */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
