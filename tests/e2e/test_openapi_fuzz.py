"""schemathesis asks a real service for what its OpenAPI document allows and for what it does not,
with all its checks.

`make test` draws a few requests for each route; `make fuzz` goes on, with sequences of them too,
for FUZZ_SECONDS.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.process import Service
from tests.service.serving import fill

CONFIG = Path(__file__).with_name("schemathesis.toml")
PHASES = ["--phases", "examples,coverage,fuzzing", "--max-examples", "4"]
SECONDS = int(os.environ.get("FUZZ_SECONDS", "0"))


@pytest.mark.timeout(300 + SECONDS)
def test_no_request_that_is_drawn_from_the_document_makes_the_service_fail(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    options = ["--request-timeout", "30", "--continue-on-failure", "--no-color"]
    options += ["--max-time", str(SECONDS)] if SECONDS else PHASES
    with Service(
        tmp_path, fill(tmp_path / "models"), FOVEA_DEFAULT_MODEL="photos", FOVEA_THREADS="1"
    ) as service:
        document = f"{service.ready()}/openapi.json"
        run = [*command, "--config-file", str(CONFIG), "run", document, *options]
        done = subprocess.run(
            run, cwd=tmp_path, capture_output=True, text=True, timeout=240 + SECONDS, check=False
        )
        failures = [line for line in service.logs if line["event"] == "request failed"]
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    [[selected, whole]] = re.findall(r"Operations: +(\d+) selected / (\d+) total", done.stdout)
    assert selected == whole
    [generated] = re.findall(r"(\d+) generated", done.stdout)
    assert int(generated) > 10 * int(whole)
    assert failures == []
