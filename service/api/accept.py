"""Which of the offered media types a request prefers, and which codings of a body it names."""

from collections.abc import Sequence


def choose(accept: str | None, offers: Sequence[str]) -> str | None:
    """The offer that an Accept header (RFC 9110) ranks highest, the first of equals; None if it
    takes none of them.
    """
    ranges = [_range(part) for part in (accept or "*/*").split(",") if part.strip()]
    ranked = [(_quality(offer, ranges), -index, offer) for index, offer in enumerate(offers)]
    quality, _, best = max(ranked)
    return best if quality > 0 else None


def weights(accept: str) -> dict[str, float]:
    """What an Accept or Accept-Encoding header names, with its weight."""
    return dict(_range(part) for part in accept.split(",") if part.strip())


def _range(part: str) -> tuple[str, float]:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return media, float(quality)
    except ValueError:
        return media, 0.0


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that covers the offer."""
    group = offer.partition("/")[0] + "/*"
    for pattern in (offer, group, "*/*"):
        matches = [quality for media, quality in ranges if media == pattern]
        if matches:
            return max(matches)
    return 0.0
