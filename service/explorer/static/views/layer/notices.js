/** What is said above the maps of a layer: what failed, what is missing, what is not finite. */

import { element, failure } from "../../dom.js";
import { statisticsOf } from "../../statistics.js";

const noticeOf = (text) => element("p", { class: "notice small" }, text);

/**
 * @param {import("../../state.js").State} state
 * @param {import("../../maps.js").Maps | null} maps Those that are shown.
 * @param {() => void} retry
 * @returns {HTMLElement[]}
 */
export function noticesOf(
  {
    scene: {
      maps: { status, error },
      input,
      fields,
    },
    prediction,
  },
  maps,
  retry,
) {
  if (status === "failed") return [failure(error, retry)];
  if (maps === null) {
    const waiting = status === "loading" || prediction.status === "loading";
    return input === null && !waiting
      ? [noticeOf("No input yet: give the network one, and its maps appear here.")]
      : [];
  }
  const { nonFinite } = statisticsOf(maps);
  const notices = [];
  if (nonFinite > 0)
    notices.push(
      noticeOf(`Values that are not finite (NaN or infinite): ${nonFinite}, pink on the maps.`),
    );
  if (fields.status === "failed")
    notices.push(noticeOf(`What the units see is not known here: ${fields.error.message}`));
  return notices;
}
