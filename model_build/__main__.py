"""`python -m model_build`: build or learn the networks of the zoo, or adopt a foreign ONNX file."""

import argparse
import sys
from collections.abc import Sequence

from anatomy.cards.card import CardError
from anatomy.model_file import ModelFileError
from model_build.adopting.preprocessing import AdoptError
from model_build.commands import adopt, build, learn, quantise
from model_build.commands.model_files import CommandError

ERRORS = (AdoptError, CardError, CommandError, ModelFileError, OSError)
INTERRUPTED = "what it was writing is not there"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 if it succeeded, 2 with one line on standard error if it could not, 130 if interrupted.
    """
    options = parsed(sys.argv[1:] if arguments is None else arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print(f"model_build: interrupted; {options.interrupted}", file=sys.stderr)
        return 130
    except ERRORS as error:
        print(f"model_build: {error}", file=sys.stderr)
        return 2
    return 0


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command; ends the process with one line for arguments that make no sense."""
    command_line = quantise.parser() if "--int8" in arguments else parser()
    command_line.set_defaults(interrupted=INTERRUPTED)
    return command_line.parse_args(arguments)


def parser() -> argparse.ArgumentParser:
    """The command line without `--int8`, which takes models of any name."""
    root = argparse.ArgumentParser(
        prog="python -m model_build", description=__doc__, epilog=quantise.HELP
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    build.add_parsers(commands)
    learn.add_parsers(commands)
    adopt.add_parser(commands)
    return root


if __name__ == "__main__":
    sys.exit(main())
