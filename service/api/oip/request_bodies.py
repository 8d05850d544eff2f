"""Bodies under `/v2`: read whatever their Content-Type says, unpacked, and never more than is
taken.
"""

import asyncio

from fastapi import Request

from service.api.oip import coding
from service.api.request_bodies import Limits, counted
from service.errors import InvalidRequest

MOST_PIECES = 65_536
HEADER = "Inference-Header-Content-Length"
LARGE = 65_536
"""Bytes from which work on a body is done beside the event loop."""


async def read(request: Request, limits: Limits) -> bytes:
    """The body; raises the errors of the tree for what is too large, stalls, or is not what its
    headers say.
    """
    packing = coding.check(request.headers.get("content-encoding", ""))
    pieces: list[bytes] = []
    async for piece in counted(request, limits):
        if piece:
            pieces.append(piece)
        if len(pieces) > MOST_PIECES:
            raise InvalidRequest(f"the body comes in more than {MOST_PIECES} pieces")
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if not packing:
        return data
    # However small it is, what it holds may not be.
    return await asyncio.to_thread(coding.unpacked, data, limits.max_bytes)


def head_length(request: Request) -> int | None:
    """The length of the document before the tensors' bytes; None where the body is all document."""
    value = request.headers.get(HEADER)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        raise InvalidRequest(f"{HEADER} must be a whole number from 0; got '{value[:40]}'")
    return int(value)
