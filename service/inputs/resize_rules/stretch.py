"""All of the picture, distorted to the input's aspect; the input is filled."""

from functools import lru_cache

from anatomy.cards.card import ImageInput
from service.inputs.geometry import Geometry, centred
from service.inputs.source_image import SourceImage


def frame(source: SourceImage, spec: ImageInput) -> Geometry:
    """The scales depend on the picture's size alone."""
    return _stretched(source.size, spec)


@lru_cache(maxsize=256)
def _stretched(picture_size: tuple[int, int], spec: ImageInput) -> Geometry:
    return centred(picture_size, spec, span=picture_size, filled=spec.size)
