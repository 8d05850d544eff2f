/**
 * Puts the page together: the state, what fetches into it, the views, the header and the address.
 */

import { Actions } from "./actions.js";
import { byId } from "./dom.js";
import { Notices, listenToTheme, showHeader } from "./header.js";
import { DIVERGING, SCALINGS, SEQUENTIAL } from "./palette.js";
import { storedColours } from "./ranges.js";
import { initialState } from "./state.js";
import { Store } from "./store.js";
import { UrlSync } from "./url_sync.js";
import * as convolution from "./views/convolution.js";
import * as inputPanel from "./views/input_panel.js";
import * as kernels from "./views/kernels.js";
import * as layer from "./views/layer.js";
import * as layerList from "./views/layer_list.js";
import * as picture from "./views/picture.js";
import * as predictions from "./views/predictions.js";
import * as pyramid from "./views/pyramid.js";

/** By the id of the section that each of them fills. */
const VIEWS = {
  give: inputPanel,
  picture,
  predictions,
  strip: layerList,
  layer,
  convolution,
  pyramid,
  kernels,
};
const COLOURS = { sequential: "viridis", diverging: "blue–orange", scaling: "map" };
const KNOWN_COLOURS = { sequential: SEQUENTIAL, diverging: DIVERGING, scaling: SCALINGS };

const { theme } = document.documentElement.dataset;
const store = new Store(initialState(storedColours(COLOURS, KNOWN_COLOURS), theme));
const actions = new Actions(store);
for (const [id, view] of Object.entries(VIEWS)) view.mount(byId(id), store, actions);
const notices = new Notices(byId("notice"), store, actions);
showHeader(store, actions);
new UrlSync(store, actions, (text) => notices.add(text));
listenToTheme(store);
actions.loadModels();
