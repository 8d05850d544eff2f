"""Frames a second that the explorer shows while the pointer moves, with a network of 80 layers
open.

    python -m benchmarks.explorer_frames [--seconds 4] [--out FILE]

Counted are the frames with fresh content from the page's main thread, out of the 60 a second that a
headless browser draws at most. Over the strip most of them show the highlighted card alone; over
the maps, the unit under the pointer.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.train_step import machine
from tests.e2e.explorer.browser import ARGUMENTS, find_browser
from tests.e2e.explorer.frames import frames_per_second, sweep
from tests.e2e.explorer.written import serve_from
from tests.e2e.process import Service

LAYER = 3
OVER = {"strip": ".strip-scroller", "maps": "#layer"}
# A mark that follows the pointer in each frame: without it, frames in which nothing changed would
# count as missing.
MARK = """() => {
  const mark = document.body.appendChild(document.createElement("canvas"));
  mark.width = mark.height = 4;
  mark.style.cssText = "position: fixed; left: 0; top: 0; pointer-events: none";
  const context = mark.getContext("2d");
  document.addEventListener("pointermove", (event) => {
    context.fillStyle = `hsl(${(event.clientX * 7 + event.clientY * 13) % 360} 80% 50%)`;
    context.fillRect(0, 0, 4, 4);
  });
}"""


def main() -> None:
    """Measure and print; with --out also write the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(measured(options.seconds), indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def measured(seconds: float) -> dict[str, Any]:
    """Frames a second and intervals for each part of the page."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        (folder / "models").mkdir()
        with Service(folder, serve_from(folder / "models"), FOVEA_DEFAULT_MODEL="deep") as service:
            service.ready()
            browser = playwright.chromium.launch(executable_path=find_browser(), args=ARGUMENTS)
            about = {
                "machine": machine(),
                "processors": os.cpu_count(),
                # Above the number of processors, the figures say how busy the machine was, not how
                # fast the page is.
                "load_before": round(os.getloadavg()[0], 1),
                "browser": browser.version,
                "layers": 80,
            }
            figures = {
                part: swept(browser, service.address(), at, seconds) for part, at in OVER.items()
            }
            browser.close()
            return about | figures


def swept(browser: Browser, address: str, selector: str, seconds: float) -> dict[str, float]:
    """On a page of its own, once nothing is fetched any more."""
    page: Page = browser.new_page(base_url=address, viewport={"width": 1440, "height": 900})
    page.goto(f"/#model=deep&layer={LAYER}")
    page.locator("#strip [aria-current] .strip-figure[data-state=ready]").wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1000)
    page.evaluate(MARK)
    frames = frames_per_second(page, lambda: sweep(page, page.locator(selector), seconds))
    page.close()
    return {
        "frames_per_second": round(frames.per_second, 1),
        "interval_p95_ms": round(frames.p95_ms, 1),
        "longest_ms": round(frames.longest_ms, 1),
    }


if __name__ == "__main__":
    main()
