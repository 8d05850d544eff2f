/** The whole state of the page: its shape, and what it is before anything is fetched. */

/**
 * Something that is fetched. While it is fetched anew, `value` is the one before; `error` is null
 * unless it failed.
 * @template Value
 * @typedef {{status: "ready", value: Value, error: null} |
 *   {status: "idle" | "loading" | "failed", value: Value | null, error: any}} Loadable
 */

/**
 * @typedef {object} Card What the author of a model says about it.
 * @property {string} [title]
 * @property {string[]} [labels]
 * @property {{polarity?: string, resize?: {rule: string}}} [input]
 */

/**
 * @typedef {object} ModelSummary A model as `GET /models` lists it.
 * @property {string} name
 * @property {string} version The newest.
 * @property {string[]} versions
 * @property {boolean} default
 * @property {{kind: string | null, shape: (number | string)[]}} input
 * @property {Card | null} card
 * @property {number} layers How many.
 * @property {number} parameters
 * @property {string} provider
 */

/** @typedef {{name: string, version: string, reason: string}} RefusedModel */

/**
 * @typedef {object} LayerSummary A layer as `GET /layers` lists it.
 * @property {number} index
 * @property {string} name
 * @property {string} operator
 * @property {string} kind
 * @property {string[]} inputs Names of the layers that it reads; empty if it reads the input.
 * @property {{name: string, shape: (number | null)[], channel_axis: number | null}[]} operands
 * @property {(number | null)[]} output_shape
 * @property {number | null} channel_axis
 * @property {number} parameters
 * @property {{status: string, size: number[] | null, stride: number[] | null,
 *   padding: any, operator: string | null, reason: string | null}} receptive_field
 * @property {number[] | null} kernel_shape
 * @property {number[] | null} strides
 * @property {number[] | null} dilations
 * @property {number[] | null} pads
 * @property {number | null} group
 */

/** @typedef {{name: string, file: string}} Sample */

/**
 * @typedef {object} Posted What the user or a sample gave.
 * @property {Blob} blob
 * @property {string} name
 * @property {boolean} own Whether it is the user's and not a sample.
 * @property {boolean} [drawn] Whether it was drawn on the pad.
 */

/**
 * @typedef {object} Prediction
 * @property {string} input_id
 * @property {import("./classes.js").Class[]} predictions
 * @property {string} spec The model that was asked.
 * @property {Error | null} trouble Why there are no classes, where the output is no list of them.
 * @property {Record<string, number>} [timings_ms]
 */

/**
 * @typedef {{status: string, axes: import("./fields.js").AxisTable[], input: string}} FieldTables
 */

/**
 * What the layer's views show, swapped as one: a part is never changed in place, so who holds a
 * scene holds parts that belong together.
 * @typedef {object} Scene
 * @property {string | null} model `NAME:VERSION`
 * @property {string | null} input The input's id.
 * @property {number | null} layer Its index.
 * @property {Loadable<import("./maps.js").LayerMaps>} maps
 * @property {Loadable<FieldTables>} fields Receptive fields of all units of the layer.
 */

/** @typedef {{sequential: string, diverging: string, scaling: string}} Colours */

/**
 * @typedef {object} State
 * @property {Scene} scene
 * @property {Loadable<{models: ModelSummary[], refused: RefusedModel[]}>} models
 * @property {Loadable<LayerSummary[]>} layers Of the chosen model.
 * @property {Loadable<Sample[]>} samples Of the chosen model.
 * @property {Posted | null} given
 * @property {boolean} blank Whether the user cleared the sheet, so that nothing is given on
 *   purpose.
 * @property {Loadable<Prediction>} prediction
 * @property {number | null} channel
 * @property {number[] | null} unit The chosen unit's position on its map.
 * @property {{channel: number, unit: number[]} | null} pointed The unit under the pointer.
 * @property {number[] | null} pixel The pixel of the input under the pointer.
 * @property {"picture" | "source" | null} pixelOn What its coordinates count on.
 * @property {[number, number] | null} seenRange Of all layers shown so far for this input.
 * @property {Loadable<any>} kernels
 * @property {Loadable<any>} pyramid
 * @property {boolean} playing Whether the kernel slides over the input.
 * @property {Colours} colours
 * @property {string | undefined} theme "light" or "dark"
 */

/** @type {Loadable<any>} */
export const IDLE = Object.freeze({ status: "idle", value: null, error: null });

/**
 * The chosen layer; null while there is none.
 * @param {State} state
 * @returns {LayerSummary | null}
 */
export function chosenLayer({ scene: { layer }, layers }) {
  return layer === null ? null : (layers.value?.[layer] ?? null);
}

/** @type {Scene} */
const EMPTY_SCENE = Object.freeze({
  model: null,
  input: null,
  layer: null,
  maps: IDLE,
  fields: IDLE,
});

/**
 * @param {Colours} colours
 * @param {string | undefined} theme
 * @returns {State}
 */
export const initialState = (colours, theme) => ({
  scene: EMPTY_SCENE,
  models: IDLE,
  layers: IDLE,
  samples: IDLE,
  given: null,
  blank: false,
  prediction: IDLE,
  channel: null,
  unit: null,
  pointed: null,
  pixel: null,
  pixelOn: null,
  seenRange: null,
  kernels: IDLE,
  pyramid: IDLE,
  playing: false,
  colours,
  theme,
});
