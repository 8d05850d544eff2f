"""Bodies in gzip and deflate: what comes in, bounded before it is unpacked, and what goes out if it
is asked for.
"""

import zlib

from service.api.accept import weights
from service.errors import InvalidRequest, TooManyBytes, UnsupportedContentType

GZIP = "gzip"
DEFLATE = "deflate"
CODINGS = (GZIP, DEFLATE)
# Fast: what is saved on the wire must not be lost in the processor.
LEVEL = 1
SMALLEST = 256
"""Bytes of an answer below which packing makes it larger."""

_EITHER = 32 + zlib.MAX_WBITS
_PACKED = {GZIP: 16 + zlib.MAX_WBITS, DEFLATE: zlib.MAX_WBITS}


def check(coding: str) -> str:
    """The coding of a body, empty for none; raises UnsupportedContentType for another than gzip and
    deflate.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return ""
    if name not in CODINGS:
        raise UnsupportedContentType(
            f"Content-Encoding {coding[:40]} is not accepted; send gzip, deflate or none"
        )
    return name


def unpacked(data: bytes, most: int) -> bytes:
    """What a packed body holds; raises TooManyBytes beyond `most` bytes, InvalidRequest for a
    broken one.
    """
    reader = zlib.decompressobj(_EITHER)
    try:
        body = reader.decompress(data, most + 1)
    except zlib.error:
        raise InvalidRequest("the body is not what its Content-Encoding says") from None
    if len(body) > most:
        raise TooManyBytes(f"the body holds more than the {most} bytes that are taken")
    if not reader.eof or reader.unused_data:
        raise InvalidRequest("the compressed body ends too early, or something follows it")
    return body


def packed(data: bytes, coding: str) -> bytes:
    """The body in gzip or deflate."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _PACKED[coding])
    return packer.compress(data) + packer.flush()


def choose(accept: str | None, size: int) -> str:
    """How an answer of so many bytes is to be packed; empty for not at all."""
    if not accept or size < SMALLEST:
        return ""
    accepted = weights(accept)
    best = max(CODINGS, key=lambda name: accepted.get(name, 0.0))
    weight = accepted.get(best, 0.0)
    return best if weight > 0 and weight >= accepted.get("identity", 0.0) else ""
