"""Arrays as they are posted: `.npy`, CSV, and JSON that holds nested lists (or a picture in
base64).

Whatever is not readable raises InvalidRequest or EmptyBody, and says what was expected. Nothing
here knows of models.
"""

import base64
import binascii
import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Never

import numpy as np

from service.errors import EmptyBody, InvalidRequest

NPY = "application/x-npy"
CSV = "text/csv"
JSON = "application/json"
MAGIC = b"\x93NUMPY"
# Python makes an object of each, many times as large as the bytes that it may be.
MAX_LISTS = 500_000
MAX_CELLS = 2_000_000

Array = np.ndarray[Any, Any]


def from_npy(data: bytes) -> Array:
    """An .npy file without objects; its header is checked against the bytes before anything is
    allocated.
    """
    stream = io.BytesIO(data)
    with _readable():
        version = np.lib.format.read_magic(stream)
        reader = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = reader(stream)
    if dtype.kind not in "iuf":
        raise InvalidRequest(f"the array holds {dtype}; send numbers")
    with _readable():
        flat = np.frombuffer(data, dtype, offset=stream.tell())
        return flat.reshape(shape, order="F" if fortran else "C")


def from_json(data: bytes) -> Array | bytes:
    """The array of `{"inputs": nested lists}`, or the bytes of `{"image": base64}`."""
    if data.count(b"[") + data.count(b"{") > MAX_LISTS:
        raise InvalidRequest(f"the JSON holds more than {MAX_LISTS} lists; send the array as {NPY}")
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidRequest(
            'the body is not JSON; send {"image": "<base64>"} or {"inputs": nested lists}, without '
            "NaN"
        ) from None
    if not isinstance(value, dict) or value.keys() not in ({"image"}, {"inputs"}):
        raise InvalidRequest(
            'the JSON must be an object of one key: {"image": "<base64>"} or {"inputs": nested '
            "lists}"
        )
    return _from_base64(value["image"]) if "image" in value else _from_lists(value["inputs"])


def from_csv(data: bytes) -> Array:
    """The numbers of a table, float64 [rows, columns]; its first line may be a header. NaN and
    infinity are refused.
    """
    if data.count(b",") + data.count(b"\n") > MAX_CELLS:
        raise InvalidRequest(f"the CSV holds more than {MAX_CELLS} cells; send the array as {NPY}")
    lines: list[int] = []
    rows: list[list[float]] = []
    for line, cells in _lines(data):
        if not rows and line == 1 and not any(_is_number(cell) for cell in cells):
            continue
        lines.append(line)
        rows.append(_numbers(line, cells))
        if len(rows[-1]) != len(rows[0]):
            raise InvalidRequest(
                f"line {line} of the CSV has {len(cells)} columns, the lines before it "
                f"{len(rows[0])}; write a column for each channel, without gaps"
            )
    if not rows:
        raise EmptyBody(
            "the CSV holds no numbers; send one row or one column, or a column for each channel"
        )
    table = np.array(rows)
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0].tolist()
        raise InvalidRequest(
            f"line {lines[row]}, column {column + 1} of the CSV is '{rows[row][column]}', not a "
            "finite number; fill gaps before posting"
        )
    return table


def _lines(data: bytes) -> Iterator[tuple[int, Sequence[str]]]:
    """The lines that are not empty, numbered from 1."""
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except UnicodeDecodeError:
        raise InvalidRequest("the CSV is not text in UTF-8; save it as such") from None
    except csv.Error as error:
        raise InvalidRequest(f"the CSV cannot be read: {error}") from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(line: int, cells: Sequence[str]) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        column, cell = next((i, cell) for i, cell in enumerate(cells, 1) if not _is_number(cell))
        raise InvalidRequest(
            f"line {line}, column {column} of the CSV is '{cell[:40]}', not a number; separate "
            "numbers by commas and write decimals with a point, with one header line at most"
        ) from None


def _no_constant(name: str) -> Never:
    """NaN and Infinity are Python's, not JSON's."""
    raise ValueError(name)


def _from_base64(text: Any) -> bytes:
    if not isinstance(text, str):
        raise InvalidRequest("'image' must be a string: the picture's bytes in base64")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(
            "'image' is not base64; encode the picture's bytes, without line breaks"
        ) from None
    if not data:
        raise EmptyBody("'image' is empty; send the picture's bytes in base64")
    return data


def _from_lists(value: Any) -> Array:
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            "'inputs' is ragged: lists of the same depth must have the same length"
        ) from None
    if array.dtype.kind not in "iuf":
        raise InvalidRequest("'inputs' must hold numbers only")
    return array


@contextmanager
def _readable() -> Iterator[None]:
    """Whatever reading an array raises, its bytes are to blame: the header is a literal of Python,
    parsed as such.
    """
    try:
        yield
    except Exception as error:
        raise InvalidRequest(
            "the body is not an .npy file, or it is truncated; write it with numpy.save"
        ) from error
