"""Contrast stretch: grey levels become ink, black for the paper, white for the strongest ink.

So a photograph of dark ink on light paper comes to look like what the network was trained on.
"""

from dataclasses import dataclass

import numpy as np

from service.inputs.foreground import LEAST_CONTRAST, Array, Foreground, Paper, Sign, contrast


@dataclass(frozen=True)
class ContrastStretch:
    """The straight line from grey levels to ink: the paper's tone becomes 0, `white` levels from it
    become 255.
    """

    paper: Paper
    sign: Sign
    white: float

    def applied(self, grey: Array, rows: Array, columns: Array) -> Array:
        """The ink in grey levels [H, W] taken at these rows and columns: uint8, each pixel for
        itself.
        """
        ink = contrast(grey, self.paper, self.sign, rows, columns)
        levels: Array = np.rint(np.clip(ink * (255 / self.white), 0, 255)).astype(np.uint8)
        return levels


def contrast_stretch(
    foreground: Foreground, grey: Array, rows: Array, columns: Array
) -> ContrastStretch:
    """The stretch by which the strongest ink of these resized grey levels [H, W] becomes 255.

    Thin strokes pale when they are resized, so it is theirs that counts; but what a kernel adds at
    an edge is no ink.
    """
    paper, sign = foreground.paper, foreground.sign
    resized = float(contrast(grey, paper, sign, rows, columns).max(initial=0))
    white = max(min(resized, foreground.strongest), LEAST_CONTRAST)
    return ContrastStretch(paper, sign, white)
