"""Types of arguments: text becomes a value, or argparse prints what was expected."""

import argparse
import math
from pathlib import Path
from typing import Any

from anatomy.cards.card import Resize


def add_out(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where the folder of models is."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("models"),
        metavar="DIR",
        help="folder of models (%(default)s)",
    )


def natural(text: str, least: int = 0) -> int:
    """A whole number from `least` on."""
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} on, got {text!r}")
    return int(text)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    return natural(text, least=1)


def positive_number(text: str) -> float:
    """A number above 0."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def non_negative_number(text: str) -> float:
    """A number of 0 or more."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of 0 or more, got {text!r}")
    return value


def share(text: str) -> float:
    """A number of 0 or more and less than 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(
            f"expected a number of 0 or more and less than 1, got {text!r}"
        )
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def numbers(text: str) -> tuple[float, ...]:
    """Numbers with commas between."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected numbers with commas between, got {text!r}"
        ) from None


def size(text: str) -> tuple[int, int]:
    """Height and width, H,W."""
    try:
        height, width = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected H,W, got {text!r}") from None
    return height, width


def resize(text: str) -> Resize:
    """A rule with its options, RULE[:FRACTION][:INTERPOLATION]."""
    rule, *details = text.split(":")
    fields: dict[str, Any] = {"rule": rule}
    for detail in details:
        if detail[:1].isdigit():
            fields["fraction"] = float(detail)
        else:
            fields["interpolation"] = detail
    try:
        return Resize(**fields)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
