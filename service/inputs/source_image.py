"""The picture that a resize rule looks at."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from service.inputs.foreground import Foreground, Polarity, segment

REDUCED = 512
"""Pixels along the longer side of the copy in which the foreground is found, at most."""


@dataclass(frozen=True, eq=False)
class SourceImage:
    """An upright picture in the network's colours; its pixels are looked at only if a rule asks."""

    image: Image.Image
    polarity: Polarity = "as_is"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.height, self.image.width

    @cached_property
    def foreground(self) -> Foreground:
        """The picture as ink on paper; it must be grey."""
        factor = max(1, math.ceil(max(self.size) / REDUCED))
        reduced = self.image if factor == 1 else self.image.reduce(factor)
        return segment(np.asarray(reduced), factor, self.polarity)
