/**
 * Reads NumPy's .npy format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/** @type {Record<string, any>} */
const READERS = {
  "|b1": Uint8Array,
  "|u1": Uint8Array,
  "|i1": Int8Array,
  "<u2": Uint16Array,
  "<i2": Int16Array,
  "<u4": Uint32Array,
  "<i4": Int32Array,
  "<u8": BigUint64Array,
  "<i8": BigInt64Array,
  "<f4": Float32Array,
  "<f8": Float64Array,
};

/**
 * @typedef {Float32Array | Float64Array | Int32Array | Int16Array | Int8Array | Uint32Array |
 *   Uint16Array | Uint8Array} Values
 * @typedef {{shape: number[], data: Values}} Tensor Numbers in C order.
 */

/**
 * @param {ArrayBuffer} buffer The whole file.
 * @returns {Tensor}
 * @throws {TypeError} What cannot be read, in words.
 */
export function parseNpy(buffer) {
  const bytes = new Uint8Array(buffer);
  if (MAGIC.some((byte, place) => bytes[place] !== byte)) {
    throw new TypeError("this is no .npy file");
  }
  const view = new DataView(buffer);
  const wide = bytes[6] > 1;
  const start = wide ? 12 : 10;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder().decode(bytes.subarray(start, start + length));
  const descr = /'descr':\s*'([^']+)'/.exec(header)?.[1] ?? "?";
  if (/'fortran_order':\s*True/.test(header)) {
    throw new TypeError("this .npy file is in Fortran order");
  }
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? "")
    .split(",")
    .filter((part) => part.trim())
    .map(Number);
  const data = numbers(descr, buffer.slice(start + length));
  const count = shape.reduce((product, size) => product * size, 1);
  if (data.length !== count) {
    throw new TypeError(`this .npy file holds ${data.length} numbers and speaks of ${count}`);
  }
  return { shape, data };
}

/**
 * @param {string} descr
 * @param {ArrayBuffer} buffer
 * @returns {Values}
 */
function numbers(descr, buffer) {
  if (descr === "<f2") {
    return Float32Array.from(new Uint16Array(buffer), half);
  }
  const Reader = READERS[descr];
  if (Reader === undefined) {
    throw new TypeError(`numbers of type ${descr} cannot be shown here`);
  }
  const data = new Reader(buffer);
  return data instanceof BigInt64Array || data instanceof BigUint64Array
    ? Float64Array.from(data, Number)
    : data;
}

/** @param {number} bits IEEE 754 binary16. */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) {
    return fraction ? NaN : sign * Infinity;
  }
  return exponent
    ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024)
    : sign * 2 ** -14 * (fraction / 1024);
}
