"""The central box of the input's aspect, or the given fraction of it; the input is filled."""

from functools import lru_cache

from anatomy.cards.card import ImageInput
from service.inputs.geometry import Geometry, centred
from service.inputs.source_image import SourceImage


def frame(source: SourceImage, spec: ImageInput) -> Geometry:
    """The crop depends on the picture's size alone."""
    return _crop(source.size, spec)


@lru_cache(maxsize=256)
def _crop(picture_size: tuple[int, int], spec: ImageInput) -> Geometry:
    ratio = min(length / size for length, size in zip(picture_size, spec.size, strict=True))
    height, width = (size * ratio * spec.resize.fraction for size in spec.size)
    return centred(picture_size, spec, span=(height, width), filled=spec.size)
