/** Files that are dropped anywhere on the page, or pasted into it. */

import { element } from "../../dom.js";

/**
 * @param {object} handlers
 * @param {(file: File, name: string, others: number) => void} handlers.take The first file;
 *   `others` came with it.
 * @param {() => (Node | string)[]} handlers.invitation What the page says while a file is held
 *   above it.
 */
export function receiveFiles({ take, invitation }) {
  const text = element("div");
  // It lies above everything, so that the only thing to leave is the overlay itself.
  const overlay = element(
    "div",
    { class: "drop", hidden: true },
    element("div", { class: "drop-frame" }, text),
  );
  document.body.append(overlay);
  let dragging = false;

  const holdsFiles = (event) => !dragging && (event.dataTransfer?.types ?? []).includes("Files");

  function show(event) {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    if (overlay.hidden) {
      text.replaceChildren(...invitation());
      overlay.hidden = false;
    }
  }

  function receive(event) {
    overlay.hidden = true;
    if (!holdsFiles(event)) return;
    event.preventDefault();
    const [file, ...others] = event.dataTransfer.files;
    if (file) take(file, file.name, others.length);
  }

  function paste(event) {
    const [file, ...others] = event.clipboardData?.files ?? [];
    if (!file) return;
    event.preventDefault();
    // Browsers call every picture from the clipboard so.
    take(file, file.name === "image.png" ? "a pasted picture" : file.name, others.length);
  }

  document.addEventListener("dragstart", () => (dragging = true));
  document.addEventListener("dragend", () => (dragging = false));
  document.addEventListener("dragenter", show);
  document.addEventListener("dragover", show);
  overlay.addEventListener("dragleave", () => (overlay.hidden = true));
  document.addEventListener("drop", receive);
  document.addEventListener("paste", paste);
}
