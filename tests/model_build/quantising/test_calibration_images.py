"""Pictures of a folder as calibration takes them: what the service would have given the network."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anatomy.cards.card import ImageInput, Resize
from model_build.quantising.calibration_images import ImageError, images_in, prepared
from service.inputs.decode import decode
from service.inputs.resize import prepare

SPECS = [
    ImageInput((224, 224), "RGB", Resize("centre_crop", 224 / 256, "bicubic")),
    ImageInput((48, 192), "RGB", Resize("pad", interpolation="bilinear")),
    ImageInput((31, 17), "L", Resize("stretch", interpolation="lanczos")),
    ImageInput((64, 33), "RGB", Resize("centre_crop", interpolation="nearest")),
    ImageInput((19, 40), "L", Resize("pad")),
]


@pytest.mark.parametrize(
    "spec", SPECS, ids=lambda spec: f"{spec.resize.rule} {spec.resize.interpolation}"
)
def test_they_are_prepared_as_the_service_prepares_them(
    spec: ImageInput, samples: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    clear = Image.fromarray(random.integers(0, 256, (37, 61, 4), np.uint8), "RGBA")
    clear.save(tmp_path / "clear.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    clear.convert("RGB").save(tmp_path / "turned.jpg", exif=turned)
    clear.convert("P").save(tmp_path / "indexed.gif")
    clear.convert("CMYK").save(tmp_path / "ink.tif")
    paths = [*images_in(samples), *images_in(tmp_path)]
    assert len(paths) == 9
    for path, ours in zip(paths, prepared(paths, spec), strict=True):
        theirs = prepare(decode(path.read_bytes(), 10**7), spec).array
        assert np.abs(ours.astype(int) - theirs).max() <= 1, path.name


def test_sub_folders_are_read_and_other_files_are_not(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/1.jpg", "a/3.webp", "a/notes.txt", "c.jpeg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    names = [path.relative_to(tmp_path).as_posix() for path in images_in(tmp_path)]
    assert names == ["a/3.webp", "b/1.jpg", "b/2.PNG", "c.jpeg"]


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "deep.png").read_bytes()[:50])
    for name in ("empty.png", "deep.png", "cut.png"):
        with pytest.raises(ImageError, match=name):
            prepared([tmp_path / name], SPECS[0])
    with pytest.raises(ImageError, match="no folder"):
        images_in(tmp_path / "empty.png")


def test_ink_on_paper_is_left_to_the_service(samples: Path) -> None:
    with pytest.raises(ImageError, match="ink"):
        prepared([samples / "cat.jpg"], ImageInput((28, 28), "L", Resize("digit", box=20)))
