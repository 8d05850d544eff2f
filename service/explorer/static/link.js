/**
 * The state as the address's fragment, for a link to every state:
 * `#model=…&input=…&layer=…&channel=…&unit=…`.
 */

/**
 * @typedef {object} Place
 * @property {string | null} model `NAME` or `NAME:VERSION`
 * @property {string | null} input The input's id
 * @property {number | null} layer
 * @property {number | null} channel
 * @property {number[] | null} unit
 * @param {string | null} text
 */

const number = (text) => (text !== null && /^\d+$/.test(text) ? Number(text) : null);

/** @returns {Place} */
export function readLink(hash = location.hash) {
  const parts = new URLSearchParams(hash.slice(1));
  const unit = positionIn(parts.get("unit"));
  const input = parts.get("input");
  return {
    model: parts.get("model"),
    input: input !== null && /^[0-9a-f]{64}$/.test(input) ? input : null,
    layer: number(parts.get("layer")),
    channel: number(parts.get("channel")),
    unit,
  };
}

/**
 * `3,5` as [3, 5]; empty for a layer without axes; null for anything else.
 * @param {string | null} text
 */
function positionIn(text) {
  if (!text) return text === "" ? [] : null;
  const position = text.split(",").map(number);
  const known = position.every((index) => index !== null);
  return known ? /** @type {number[]} */ (position) : null;
}

/** @param {Partial<Place>} place */
export function linkTo(place) {
  const parts = Object.entries(place).filter(([, value]) => value !== null && value !== undefined);
  const texts = parts.map(
    ([key, value]) => `${key}=${Array.isArray(value) ? value.join(",") : readable(value)}`,
  );
  return `#${texts.join("&")}`;
}

/** @param {any} value */
const readable = (value) => encodeURIComponent(value).replaceAll("%3A", ":");
