"""MNIST: 70,000 handwritten digits of 28 x 28 pixels, by LeCun, Cortes and Burges.

The four IDX files are looked for in a folder that the user names, else in the cache, else fetched.
Wherever they come from, the SHA-256 of what is in them has to be the published one: a score says
nothing if the data may be others.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import numpy as np

from model_build.datasets.fetch import cache_folder, fetch, write_atomically
from model_build.datasets.idx import parsed, unpacked
from model_build.datasets.split import DIGITS, DataError, Dataset, Split

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
# Of the content, since every mirror gzips it differently.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
PROVENANCE = "MNIST: Y. LeCun, C. Cortes, C. J. C. Burges, from NIST's Special Databases 1 and 3."
LICENCE = "CC BY-SA 3.0"
Files = Callable[[str], bytes]


def load(
    data: Path | None = None,
    log: Callable[[str], None] = lambda _line: None,
    transport: httpx.BaseTransport | None = None,
) -> Dataset:
    """60,000 images to learn from and 10,000 for the test, uint8 [N, 28, 28, 1], light on 0.

    `data` is the folder of the four files (or its sub-folder `mnist`); without it they come from
    the cache or the mirrors (by `transport`, if there is one), and `log` gets a line for each file
    that is fetched. Raises DataError.
    """
    files = (
        partial(_from_folder, data) if data else partial(_from_cache, log=log, transport=transport)
    )
    return Dataset(
        "mnist", _split("train", files), _split("t10k", files), DIGITS, PROVENANCE, LICENCE
    )


def load_test(data: Path) -> Split:
    """The 10,000 test images alone, from the folder `data`; raises DataError."""
    return _split("t10k", partial(_from_folder, data))


def _split(part: str, files: Files) -> Split:
    image_file, label_file = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
    images = parsed(files(image_file), image_file, axes=3)
    labels = parsed(files(label_file), label_file, axes=1)
    return Split(images[..., np.newaxis], labels.astype(np.int64))


def _from_folder(data: Path, name: str) -> bytes:
    """The content of one file of the user's folder."""
    for folder in (data, data / "mnist"):
        for path in (folder / f"{name}.gz", folder / name):
            if path.is_file():
                return _checked(_read(path), name)
    raise DataError(
        f"{data} has neither {name}.gz nor {name}; --data names the folder of MNIST's four files"
    )


def _from_cache(
    name: str, log: Callable[[str], None], transport: httpx.BaseTransport | None
) -> bytes:
    """The content of one file of the cache, which is fetched where it is missing or damaged."""
    path = cache_folder() / "mnist" / f"{name}.gz"
    try:
        return _checked(_read(path), name)
    except DataError:
        log(f"fetching {name}.gz into {path.parent}")
    try:
        with httpx.Client(follow_redirects=True, transport=transport) as client:
            packed = fetch(f"{name}.gz", MIRRORS, partial(_checked, name=name), client)
    except DataError as error:
        raise DataError(
            f"{error}; put MNIST's four files into a folder and name it with --data DIR"
        ) from None
    write_atomically(path, packed)
    return _checked(packed, name)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _checked(data: bytes, name: str) -> bytes:
    content = unpacked(data, name)
    if (digest := hashlib.sha256(content).hexdigest()) != SHA256[name]:
        raise DataError(
            f"{name} is not the published file: SHA-256 {digest}, expected {SHA256[name]}"
        )
    return content
