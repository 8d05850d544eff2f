"""The environment variables and the flags that settings are read from, one of each for every field.

Raises SettingsError for a variable or a flag that no field has, and names the nearest one.
"""

import argparse
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pydantic.fields import FieldInfo

from service.errors import SettingsError

PREFIX = "FOVEA_"
Fields = Mapping[str, FieldInfo]


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def flag(field: str) -> str:
    """The command-line flag of a field."""
    return "--" + field.replace("_", "-")


def read_variables(fields: Fields, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that are settings."""
    variables = {name: value for name, value in environ.items() if name.upper().startswith(PREFIX)}
    known = [variable(field) for field in fields]
    for name in variables:
        if name not in known:
            raise SettingsError(_unknown("variable", name, known))
    return variables


def read_flags(fields: Fields, argv: Sequence[str]) -> dict[str, str]:
    """The values of the flags on a command line, by field."""
    known, unknown = flag_parser(fields).parse_known_args(argv)
    if unknown:
        name = unknown[0].partition("=")[0]
        raise SettingsError(_unknown("flag", name, [flag(field) for field in fields]))
    return {name: value for name, value in vars(known).items() if value is not None}


def flag_parser(fields: Fields) -> argparse.ArgumentParser:
    """A parser with one flag per field; values stay text, the model converts them."""
    parser = _Parser(
        prog="fovea serve",
        description="Serve convolutional networks and show what every unit sees.",
        epilog="Each setting is a flag and a variable; the flag wins.",
        allow_abbrev=False,
    )
    for name, field in fields.items():
        text = f"{field.description} [{variable(name)}, default: {_default(field)}]"
        parser.add_argument(flag(name), dest=name, metavar="VALUE", help=text.replace("%", "%%"))
    return parser


def describe_error(error: Any, flags: Mapping[str, str]) -> str:
    """One of pydantic's errors, with the name under which the value was set."""
    field = str(error["loc"][0])
    name = flag(field) if field in flags else variable(field)
    reason = error["msg"][0].lower() + error["msg"][1:]
    return f"{name} is {str(error['input'])!r}: {reason}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; --help lists every flag")


def _default(field: FieldInfo) -> Any:
    default = field.get_default(call_default_factory=True, validated_data={})
    shown = ",".join(default) if isinstance(default, tuple) else default
    return "none" if shown in (None, "") else shown


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    sought = name.upper() if what == "variable" else name
    (nearest,) = difflib.get_close_matches(sought, known, n=1, cutoff=0.0)
    return f"unknown {what} {name}; the nearest known one is {nearest}"
