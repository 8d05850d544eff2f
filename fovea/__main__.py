"""The `fovea` command: serve models, look into model files, build and adopt them."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from fovea import __version__

HELP = """usage: fovea COMMAND …

  serve          serve the models in a folder over HTTP
  inspect FILE   show the layers of an ONNX file and what their units see
  build NAME     build a network of the zoo, or learn one
  adopt FILE     wrap a foreign ONNX file: preprocessing, softmax, labels
  probe          ask the service that runs here whether it is alive, or ready

`fovea COMMAND --help` tells more; `fovea --version` prints the version."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; 2 for a command that does not exist."""
    words = sys.argv[1:] if arguments is None else arguments
    name, rest = (words[0] if words else ""), words[1:]
    _write_what_the_terminal_cannot_show()
    if name in ("", "-h", "--help"):
        print(HELP)
        return 0 if name else 2
    if name == "--version":
        print(f"fovea {__version__}")
        return 0
    if name not in COMMANDS:
        print(f"fovea: unknown command {name!r}; `fovea --help` lists them", file=sys.stderr)
        return 2
    return COMMANDS[name](rest)


def _write_what_the_terminal_cannot_show() -> None:
    """Replace characters that the terminal's encoding lacks, rather than fail on them."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _run(module: str, arguments: Sequence[str]) -> int:
    """Import a command only when it runs: each has dependencies that the others do without."""
    code: int = import_module(module).main(arguments)
    return code


def _serve(arguments: Sequence[str]) -> int:
    return _run("service.__main__", arguments)


def _inspect(arguments: Sequence[str]) -> int:
    return _run("anatomy.__main__", arguments)


def _build(arguments: Sequence[str]) -> int:
    return _run("model_build.__main__", arguments)


def _adopt(arguments: Sequence[str]) -> int:
    return _run("model_build.__main__", ["adopt", *arguments])


def _probe(arguments: Sequence[str]) -> int:
    return _run("fovea.probe", arguments)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "serve": _serve,
    "inspect": _inspect,
    "build": _build,
    "adopt": _adopt,
    "probe": _probe,
}


if __name__ == "__main__":
    sys.exit(main())
