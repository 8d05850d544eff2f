"""Tensors of BYTES: in bytes each element is its length, four bytes little-endian, then itself."""

from collections.abc import Iterable, Sequence

from service.errors import InvalidRequest

MOST = 65_536
"""Elements of a tensor: each is an object of its own, whatever little it holds."""

_PREFIX = 4


def from_bytes(name: str, count: int, data: memoryview) -> list[bytes]:
    """The `count` elements; raises InvalidRequest if they do not fill the bytes exactly, or are too
    many.
    """
    check_count(name, count)
    elements, end = [], 0
    for _ in range(count):
        start = end + _PREFIX
        end = start + int.from_bytes(data[end:start], "little")
        if start > len(data) or end > len(data):
            raise InvalidRequest(
                f"unexpected size for input '{name}': its elements go beyond its {len(data)} bytes"
            )
        elements.append(bytes(data[start:end]))
    if end != len(data):
        raise InvalidRequest(
            f"unexpected size for input '{name}': {len(data) - end} bytes follow its last element"
        )
    return elements


def from_json(name: str, items: Sequence[object]) -> list[bytes]:
    """The UTF-8 of each text; raises InvalidRequest for what is no text, and for too many."""
    check_count(name, len(items))
    if set(map(type, items)) - {str}:
        raise InvalidRequest(f"input '{name}' is BYTES: its data must hold text only")
    return [str(item).encode() for item in items]


def to_bytes(elements: Iterable[bytes]) -> bytes:
    """The elements behind their lengths."""
    parts = []
    for element in elements:
        parts += [len(element).to_bytes(_PREFIX, "little"), element]
    return b"".join(parts)


def check_count(name: str, count: int) -> None:
    """Raise InvalidRequest if a tensor has more elements than are taken."""
    if count > MOST:
        raise InvalidRequest(
            f"input '{name}' has {count} elements; at most {MOST} of BYTES are taken"
        )
