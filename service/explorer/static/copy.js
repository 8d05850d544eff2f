/** Texts for the clipboard and files for the disk. */

import { element } from "./dom.js";

/**
 * @param {string} text
 * @returns {Promise<boolean>} False if the browser does not let us, and the text was shown to be
 *   copied by hand.
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No permission, or a page without TLS, where there is no clipboard at all.
    showText(text);
    return false;
  }
}

/** @param {string} text */
function showText(text) {
  const area = element("textarea", {
    readOnly: true,
    value: text,
    rows: 4,
    "aria-label": "Text to copy",
  });
  const close = element("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = element(
    "dialog",
    { class: "copy-dialog", "aria-label": "Copy by hand" },
    element(
      "p",
      {},
      "The browser keeps its clipboard to itself here. The text is selected: copy it by Ctrl+C or ⌘C.",
    ),
    area,
    close,
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  area.focus();
  area.select();
}

/**
 * Say on the button itself what became of it, for a moment.
 * @param {HTMLElement} button
 * @param {string} text
 */
export function confirmOn(button, text) {
  const before = button.dataset.label ?? button.textContent ?? "";
  button.dataset.label = before;
  button.textContent = text;
  setTimeout(() => {
    button.textContent = before;
    delete button.dataset.label;
  }, 1500);
}

/**
 * Give a file to the user.
 * @param {Blob} blob
 * @param {string} name
 */
export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/**
 * A name for a file, from what it holds: `imagenet-1-layer-20-blocks.6.expand.npy`.
 * @param {string | null} model
 * @param {import("./state.js").LayerSummary} layer
 * @param {string} end
 */
export function fileName(model, layer, end) {
  const parts = [model, "layer", layer.index, layer.name].map((part) =>
    String(part).replace(/[^\w.]+/g, "-"),
  );
  return `${parts.join("-").replace(/^[-.]+|-+$/g, "")}${end}`;
}

/**
 * A word that no POSIX shell reads anything into.
 * @param {string} text
 */
export const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
