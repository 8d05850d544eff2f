"""What the server adds to the bare model: processor time of a request, latency, cold start, memory.

    python benchmarks/serve.py [--scenario small] [--rounds 5] [--seconds 2] [--growth] [--out FILE]

Needs wrk and Linux. Bare model, naive loop and server run in turn, round after round, so that a
machine that slows down slows all of them. docs/benchmarks.md says what each figure means.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.serving import goals, growth, inspection, machine, prediction, report, subjects
from benchmarks.serving.prediction import Options
from benchmarks.serving.processes import Quiet
from benchmarks.serving.server import ServerError
from benchmarks.serving.subjects import Subject
from benchmarks.serving.wire import WireError
from benchmarks.serving.wrk import WrkError, ensure_wrk

SCENARIOS = ("small", "digits", "imagenet", "activations", "mixed")


def main() -> int:
    """Measure and print; with --out also write the figures as JSON and Markdown. 1 if an answer was
    wrong.
    """
    options = parser().parse_args()
    try:
        ensure_wrk()
        result = measured(options)
    except (Quiet, ServerError, WireError, WrkError) as error:
        print(f"serve.py: {error}", file=sys.stderr)
        return 1
    page = report.written(result)
    print(page, end="")
    if options.out:
        options.out.with_suffix(".json").write_text(
            json.dumps(result, indent=2) + "\n", encoding="utf-8"
        )
        options.out.with_suffix(".md").write_text(page, encoding="utf-8")
    return int(any(figures["complaints"] for figures in result.get("scenarios", {}).values()))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command_line = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command_line.add_argument(
        "--scenario", choices=SCENARIOS, action="append", help="may be repeated; all if not given"
    )
    command_line.add_argument("--rounds", type=_positive, default=5)
    command_line.add_argument("--seconds", type=_positive, default=2, help="of one load")
    command_line.add_argument(
        "--growth", action="store_true", help="how cost grows, in place of the scenarios"
    )
    command_line.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="FOVEA_NAME=VALUE"
    )
    command_line.add_argument(
        "--out", type=Path, metavar="FILE", help="write FILE.json and FILE.md"
    )
    return command_line


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, with the machine."""
    result: dict[str, Any] = {
        "machine": machine.described(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "settings": dict(options.set),
    }
    others = machine.Others()
    with tempfile.TemporaryDirectory(prefix="fovea-benchmark-") as name:
        bench = Bench(Path(name), options)
        if options.growth:
            result["growth"] = growth.measured(
                bench.subject("small"), bench.subject("imagenet"), bench.options
            )
        else:
            scenarios = {name: bench.scenario(name) for name in options.scenario or SCENARIOS}
            result["scenarios"] = scenarios
            result["goals"] = goals.held(scenarios)
    result["machine"]["others_share"] = others.share()
    return result


class Bench:
    """Runs scenarios; makes each subject once, in a folder of its own."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.options = Options(options.rounds, options.seconds, folder, dict(options.set))
        self._subjects: dict[str, Subject] = {}

    def subject(self, name: str) -> Subject:
        """A model and its pictures."""
        if name not in self._subjects:
            self._subjects[name] = subjects.SUBJECTS[name](self.options.folder / name / "models")
        return self._subjects[name]

    def scenario(self, name: str) -> Any:
        """The figures of one scenario."""
        print(f"measuring {name}", file=sys.stderr)
        if name == "activations":
            return inspection.measured(self.subject("imagenet"), self.options)
        if name == "mixed":
            return inspection.mixed(self.subject("imagenet"), self.options)
        return prediction.measured(self.subject(name), self.options)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.startswith("FOVEA_"):
        raise argparse.ArgumentTypeError(f"expected FOVEA_NAME=VALUE, got {text!r}")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
