/**
 * Colours for numbers. Sequential palettes run from the least to the largest value, diverging ones
 * are centred on zero. Stops: viridis and cividis as matplotlib publishes them (CC0); blue to
 * orange and purple to green chosen to stay apart for people who see red and green alike.
 */

const STOPS = {
  grey: ["#000000", "#ffffff"],
  // prettier-ignore
  viridis: [
    "#440154", "#482878", "#3e4989", "#31688e", "#26828e",
    "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725",
  ],
  // prettier-ignore
  cividis: [
    "#00224e", "#123570", "#3b496c", "#575d6d", "#707173",
    "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838",
  ],
  "blue–orange": ["#0b4a8f", "#3a7fc1", "#8fbce0", "#f7f7f7", "#f6b26b", "#d9771f", "#8a3f04"],
  "purple–green": ["#40004b", "#762a83", "#af8dc3", "#f7f7f7", "#7fbf7b", "#1b7837", "#00441b"],
};

export const SEQUENTIAL = ["viridis", "cividis", "grey"];
export const DIVERGING = ["blue–orange", "purple–green"];

/**
 * How the range of colours is found: for each map, for all maps of a layer, for all layers shown so
 * far.
 */
export const SCALINGS = ["map", "layer", "all"];

/** What is not finite (NaN, infinite) has a colour that no palette has. */
export const NOT_FINITE = "#ff2ec4";

const STEPS = 256;

/** @param {string[]} stops @returns {Uint8ClampedArray} 256 colours, RGB. */
function table(stops) {
  const colours = stops.map((stop) =>
    [1, 3, 5].map((place) => parseInt(stop.slice(place, place + 2), 16)),
  );
  const rgb = new Uint8ClampedArray(STEPS * 3);
  for (let index = 0; index < STEPS; index += 1) {
    const place = (index / (STEPS - 1)) * (colours.length - 1);
    const left = Math.min(Math.floor(place), colours.length - 2);
    for (let part = 0; part < 3; part += 1) {
      const [from, to] = [colours[left][part], colours[left + 1][part]];
      rgb[index * 3 + part] = from + (to - from) * (place - left);
    }
  }
  return rgb;
}

const TABLES = Object.fromEntries(
  Object.entries(STOPS).map(([name, stops]) => [name, table(stops)]),
);

/** The same as opaque pixels, in the machine's order of bytes. */
const WORDS = Object.fromEntries(
  Object.entries(TABLES).map(([name, colours]) => [name, words(colours)]),
);
const NOT_FINITE_WORD = words(table([NOT_FINITE, NOT_FINITE]))[0];

/** @param {Uint8ClampedArray} colours */
function words(colours) {
  const bytes = new Uint8Array(STEPS * 4).fill(255);
  for (let index = 0; index < STEPS; index += 1) {
    bytes.set(colours.subarray(index * 3, index * 3 + 3), index * 4);
  }
  return new Uint32Array(bytes.buffer);
}

/**
 * Which palette and range suit numbers between `low` and `high`: diverging and centred on zero if
 * some are negative.
 * @param {number[]} range
 * @param {{sequential: string, diverging: string}} chosen
 * @param {boolean} [signed] Whether to centre on zero; a map without negative numbers may stand
 *   among others with some.
 */
export function scaleFor(range, chosen, signed = range[0] < 0) {
  const [low, high] = range;
  if (signed) {
    const top = Math.max(Math.abs(low), Math.abs(high));
    return { palette: chosen.diverging, low: -top, high: top };
  }
  return { palette: chosen.sequential, low: Math.min(low, 0), high };
}

/** @typedef {ReturnType<typeof scaleFor>} Scale */

/**
 * A colour as CSS text.
 * @param {number} value
 * @param {Scale} scale
 */
export function cssColour(value, scale) {
  if (!Number.isFinite(value)) return NOT_FINITE;
  const index = step(value, scale) * 3;
  const colours = TABLES[scale.palette];
  return `rgb(${colours[index]} ${colours[index + 1]} ${colours[index + 2]})`;
}

/**
 * Black or white, whichever is read more easily on that colour (relative luminance after WCAG 2).
 * @param {number} value
 * @param {Scale} scale
 */
export function inkOn(value, scale) {
  if (!Number.isFinite(value)) return "#000";
  const index = step(value, scale) * 3;
  const [red, green, blue] = [0, 1, 2].map((part) =>
    linear(TABLES[scale.palette][index + part] / 255),
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

/** @param {number} part */
const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);

/**
 * @param {number} value
 * @param {{low: number, high: number}} range
 */
function step(value, { low, high }) {
  const place = high > low ? (value - low) / (high - low) : 0;
  return Math.round(Math.min(Math.max(place, 0), 1) * (STEPS - 1));
}

/**
 * Numbers as pixels, one each.
 * @param {ArrayLike<number>} values Rows one after another.
 * @param {number} width
 * @param {number} height
 * @param {Scale} scale
 * @returns {ImageData}
 */
export function pixels(values, width, height, scale) {
  const image = new ImageData(width, height);
  tint(new Uint32Array(image.data.buffer), 0, values, 0, width * height, scale);
  return image;
}

/**
 * Colours for `count` numbers from place `from` on, written from place `to` on.
 * @param {Uint32Array} target Pixels.
 * @param {number} to
 * @param {ArrayLike<number>} values
 * @param {number} from
 * @param {number} count
 * @param {Scale} scale
 */
export function tint(target, to, values, from, count, { palette, low, high }) {
  const colours = WORDS[palette];
  const factor = high > low ? (STEPS - 1) / (high - low) : 0;
  for (let index = 0; index < count; index += 1) {
    const value = values[from + index];
    if (value - value !== 0) {
      target[to + index] = NOT_FINITE_WORD;
    } else {
      const place = (value - low) * factor + 0.5;
      target[to + index] = colours[place <= 0 ? 0 : place >= STEPS ? STEPS - 1 : Math.floor(place)];
    }
  }
}

const scratch = typeof OffscreenCanvas === "undefined" ? null : new OffscreenCanvas(1, 1);

/**
 * Paint pixels into a rectangle of a context, enlarged without smoothing.
 * @param {CanvasRenderingContext2D} context
 * @param {ImageData} image
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 */
export function paint(context, image, left, top, width, height) {
  if (scratch === null) return;
  scratch.width = image.width;
  scratch.height = image.height;
  scratch.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = image.width > width;
  context.drawImage(/** @type {any} */ (scratch), left, top, width, height);
}
