"""Load by wrk: a script in Lua that sends the calls in turn, and the figures that it prints at the
end.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.wire import Address, Call

MISSING = "wrk is not installed; on Debian and Ubuntu: apt-get install wrk"
TIMEOUT = 60
FIGURES = "fovea-figures"
ERRORS = ("connect", "read", "write", "status", "timeout")
FRESH = 20
"""Characters that a body gets after its end where each is to be a new one: readers of pictures
ignore them.
"""

_SCRIPT = """\
local calls, fresh, sent = {}, %(fresh)s, 0

local function add(method, target, headers, path)
  local body
  if path then
    local file = assert(io.open(path, "rb"))
    body = file:read("*a")
    file:close()
  end
  calls[#calls + 1] = {method, target, headers, body}
end

function init(args)
%(calls)s
  for _, call in ipairs(calls) do
    call.text = wrk.format(call[1], call[2], call[3], call[4])
  end
end

function request()
  sent = sent + 1
  local call = calls[(sent - 1) %% #calls + 1]
  if fresh and call[4] then
    return wrk.format(call[1], call[2], call[3], call[4] .. string.format("%%s%%010d", fresh, sent))
  end
  return call.text
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '%(mark)s {"requests": %%d, "micros": %%d, "p50": %%.0f, "p90": %%.0f, "p99": %%.0f, ' ..
      '"connect": %%d, "read": %%d, "write": %%d, "status": %%d, "timeout": %%d}\\n',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(90), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
"""


class WrkError(Exception):
    """wrk cannot be had, or said something else than figures."""


@dataclass(frozen=True)
class Counted:
    """What wrk counted: answers of any status, seconds, milliseconds of latency, and errors by
    their kind.
    """

    answers: int
    seconds: float
    p50: float
    p90: float
    p99: float
    errors: dict[str, int]


def ensure_wrk() -> str:
    """Where wrk is; root on Debian gets it installed. Raises WrkError, which says how to get it."""
    if not shutil.which("wrk") and os.geteuid() == 0 and shutil.which("apt-get"):
        print("no wrk found, installing Debian's")
        apt = ["apt-get", "-qq", "-y", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120"]
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--no-install-recommends", "wrk"]):
            done = subprocess.run(
                [*apt, *command], env=quiet, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise WrkError(f"{MISSING} (which failed: {done.stderr.strip()})")
    path = shutil.which("wrk")
    if not path:
        raise WrkError(MISSING)
    return path


def script(calls: Sequence[Call], folder: Path, fresh: str = "") -> str:
    """The script that sends these calls in turn; their bodies are written into the folder.

    With `fresh`, ten characters, each body gets them and a number after its end, so that none is
    sent twice.
    """
    lines = []
    for number, call in enumerate(calls):
        headers = ", ".join(
            f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in call.headers.items()
        )
        path = "nil"
        if call.body:
            (folder / f"{number}.body").write_bytes(call.body)
            path = json.dumps(str(folder / f"{number}.body"))
        lines.append(
            f"  add({json.dumps(call.method)}, {json.dumps(call.target)}, {{{headers}}}, {path})"
        )
    return _SCRIPT % {
        "fresh": json.dumps(fresh) if fresh else "false",
        "calls": "\n".join(lines),
        "mark": FIGURES,
    }


def parse(output: str) -> Counted:
    """The figures among what wrk printed; raises WrkError where they are missing."""
    line = next((line for line in output.splitlines() if line.startswith(FIGURES)), None)
    if line is None:
        raise WrkError(f"wrk printed no figures: {output.strip() or 'nothing at all'}")
    figures = json.loads(line.removeprefix(FIGURES))
    return Counted(
        answers=figures["requests"],
        seconds=figures["micros"] / 1e6,
        p50=figures["p50"] / 1e3,
        p90=figures["p90"] / 1e3,
        p99=figures["p99"] / 1e3,
        errors={kind: figures[kind] for kind in ERRORS},
    )


def load(
    address: Address, calls: Sequence[Call], connections: int, seconds: float, fresh: str = ""
) -> Counted:
    """Send the calls in turn on so many connections, each as soon as the one before is answered."""
    with tempfile.TemporaryDirectory(prefix="fovea-wrk-") as name:
        path = Path(name) / "calls.lua"
        path.write_text(script(calls, Path(name), fresh), encoding="utf-8")
        command = [
            ensure_wrk(),
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            f"--timeout={TIMEOUT}s",
        ]
        command += ["-s", str(path), f"http://{address[0]}:{address[1]}"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds + 2 * TIMEOUT
        )
    if done.returncode:
        raise WrkError(
            f"wrk ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"
        )
    return parse(done.stdout)
