"""npy.js reads what NumPy wrote; NumPy is the oracle."""

import base64
import io
from itertools import product

import numpy as np
import pytest
from numpy.lib import format as npy_format
from playwright.sync_api import Error, Page

from tests.e2e.explorer.browser import in_module

PARSE = """(npy, text) => {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const { shape, data } = npy.parseNpy(bytes.buffer);
  return { shape, data: [...data].map(Number) };
}"""
DTYPES = ["?", "u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8"]
SHAPES: list[tuple[int, ...]] = [(), (0,), (3,), (2, 3), (2, 1, 3, 2)]


def file_of(array: np.ndarray, version: tuple[int, int] | None = None) -> str:
    buffer = io.BytesIO()
    npy_format.write_array(buffer, array, version=version)
    return base64.b64encode(buffer.getvalue()).decode()


def parsed(page: Page, text: str) -> tuple[tuple[int, ...], list[float]]:
    found = in_module(page, "npy.js", PARSE, text)
    return tuple(found["shape"]), found["data"]


def test_every_type_of_numbers_is_read_in_every_shape(module_page: Page) -> None:
    random = np.random.default_rng(0)
    for dtype, shape in product(DTYPES, SHAPES):
        low, high = {"b": (0, 2), "u": (0, 100)}.get(np.dtype(dtype).kind, (-50, 50))
        array = np.asarray(random.integers(low, high, shape)).astype(dtype)
        assert parsed(module_page, file_of(array)) == (
            shape,
            array.ravel().astype(float).tolist(),
        ), (dtype, shape)


def test_halves_are_exact_and_keep_what_is_not_finite(module_page: Page) -> None:
    every_half = np.arange(1 << 16, dtype="<u2").view("<f2")[::7]
    _, data = parsed(module_page, file_of(every_half))
    np.testing.assert_array_equal(np.array(data, dtype=float), every_half.astype(float))


def test_every_version_of_the_header_is_read(module_page: Page) -> None:
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    for version in [(1, 0), (2, 0), (3, 0)]:
        assert parsed(module_page, file_of(array, version)) == ((2, 3), [0, 1, 2, 3, 4, 5])


def test_a_header_longer_than_64_kib_is_read(module_page: Page) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }" + b" " * 70_000 + b"\n"
    data = (
        b"\x93NUMPY\x02\x00"
        + len(header).to_bytes(4, "little")
        + header
        + np.array([1, 2], "<f4").tobytes()
    )
    assert np.load(io.BytesIO(data), max_header_size=100_000).tolist() == [1, 2]
    assert parsed(module_page, base64.b64encode(data).decode()) == ((2,), [1, 2])


def test_what_cannot_be_read_is_refused_in_words(module_page: Page) -> None:
    short = base64.b64decode(file_of(np.ones(4, "<f4")))[:-4]
    for text, words in [
        (base64.b64encode(b"PNG, not NumPy").decode(), "no .npy file"),
        (file_of(np.asfortranarray(np.ones((2, 3)))), "Fortran order"),
        (file_of(np.ones(2, ">f4")), "type >f4"),
        (file_of(np.ones(2, "<c8")), "type <c8"),
        (base64.b64encode(short).decode(), "holds 3 numbers and speaks of 4"),
    ]:
        with pytest.raises(Error, match=words):
            parsed(module_page, text)
