"""All of the picture in its own aspect, with black bars beside it."""

from functools import lru_cache

from anatomy.cards.card import ImageInput
from service.inputs.geometry import Geometry, centred
from service.inputs.source_image import SourceImage


def frame(source: SourceImage, spec: ImageInput) -> Geometry:
    """The bars depend on the picture's size alone."""
    return _padded(source.size, spec)


@lru_cache(maxsize=256)
def _padded(picture_size: tuple[int, int], spec: ImageInput) -> Geometry:
    ratio = max(length / size for length, size in zip(picture_size, spec.size, strict=True))
    height, width = picture_size
    filled = (height / ratio, width / ratio)
    return centred(picture_size, spec, span=picture_size, filled=filled)
