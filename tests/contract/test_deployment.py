"""The container image and the compose file: what can be shown of them without a Docker engine."""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings

ROOT = Path(__file__).parents[2]
LINUX_X86 = sys.platform == "linux" and platform.machine() == "x86_64"

needs_tools = pytest.mark.skipif(
    not LINUX_X86, reason="the tools are locked for Linux on x86-64 only"
)


def run(tool: str, *arguments: str, **variables: str) -> str:
    """Standard output of a tool of this environment, run in the repository's root; fails with what
    it complained of.
    """
    command = [str(Path(sys.executable).with_name(tool)), *arguments]
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COMPOSE_", "FOVEA_"))
    }
    done = subprocess.run(
        command, cwd=ROOT, env=bare | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as pairs of keyword and argument, comments dropped and continued lines
    joined.
    """
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


def final_stage() -> list[tuple[str, str]]:
    everything = instructions()
    return everything[max(i for i, (word, _) in enumerate(everything) if word == "FROM") :]


def argument(keyword: str) -> str:
    return [rest for word, rest in final_stage() if word == keyword][-1]


def compose(*flags: str, **variables: str) -> dict[str, Any]:
    services = json.loads(run("docker-compose", *flags, "config", "--format", "json", **variables))[
        "services"
    ]
    assert isinstance(services, dict)
    return services


def environment() -> dict[str, str]:
    return dict(
        pair.split("=", 1)
        for word, rest in final_stage()
        if word == "ENV"
        for pair in shlex.split(rest)
    )


@needs_tools
def test_the_dockerfile_linter_has_no_complaint() -> None:
    run("hadolint", "--failure-threshold", "style", "Dockerfile")


def test_both_stages_start_from_the_pinned_base_that_can_be_replaced() -> None:
    base = next(rest for word, rest in instructions() if word == "ARG")
    assert re.fullmatch(r"BASE_IMAGE=python:3\.\d+-slim-[a-z]+", base)
    assert [rest.split()[0] for word, rest in instructions() if word == "FROM"] == [
        "${BASE_IMAGE}"
    ] * 2


def test_the_second_stage_only_copies_so_that_nothing_of_the_first_stays_behind() -> None:
    stages = [rest.partition(" AS ")[2] for word, rest in instructions() if word == "FROM"]
    assert stages == ["build", "serve"]
    assert not [rest for word, rest in final_stage() if word in ("RUN", "ADD")]
    copied = [rest for word, rest in final_stage() if word == "COPY"]
    assert copied
    assert all(rest.startswith("--from=build ") for rest in copied)


def test_the_models_are_built_in_the_first_stage_and_served_from_where_they_are_copied_to() -> None:
    workdir = next(rest for word, rest in instructions() if word == "WORKDIR")
    assert any("-m model_build all" in rest for word, rest in instructions() if word == "RUN")
    copied = dict(rest.split()[1:] for word, rest in final_stage() if word == "COPY")
    assert copied[f"{workdir}/models"] == environment()["FOVEA_MODELS"]


def test_an_image_has_no_pip() -> None:
    assert any(
        "venv --without-pip /opt/fovea" in rest for word, rest in instructions() if word == "RUN"
    )


@pytest.mark.parametrize("path", ["Dockerfile", "docker-compose.yml", ".github/workflows/ci.yml"])
def test_nothing_is_taken_as_whatever_is_latest(path: str) -> None:
    assert "latest" not in (ROOT / path).read_text()


def test_continuous_integration_runs_what_a_developer_runs() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    commands = ["make test", "make test-versions", "exec make test-long"]
    assert [
        line for line in script.read_text().splitlines() if re.match("(exec )?make ", line)
    ] == commands
    assert "- run: .ci/run\n" in (ROOT / ".github/workflows/ci.yml").read_text()


def test_the_image_runs_as_a_numeric_user_that_is_not_root() -> None:
    user, group = map(int, argument("USER").split(":"))
    assert user >= 1000
    assert group >= 1000


def test_the_service_is_the_first_process_and_gets_the_signals() -> None:
    assert json.loads(argument("CMD")) == ["fovea", "serve"]


def test_the_health_check_is_the_command_that_knows_where_the_service_listens() -> None:
    assert json.loads(argument("HEALTHCHECK").partition("CMD ")[2]) == ["fovea", "probe"]


def test_every_setting_in_the_image_is_one_the_service_knows() -> None:
    settings = Settings.load(environ=environment())
    assert settings.host == "0.0.0.0"
    assert str(settings.port) == argument("EXPOSE")
    assert settings.input_store.is_relative_to("/tmp")


def test_everything_the_image_copies_is_in_the_repository_and_let_through_to_the_build() -> None:
    let_through = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert source.rstrip("/") in let_through


def test_every_lock_that_the_image_installs_is_there() -> None:
    arguments = [rest for word, rest in instructions() if word == "RUN"]
    named = {name for rest in arguments for name in re.findall(r"requirements/([^ \"]+)", rest)}
    assert named == {"build.txt", "${RUNTIME}.txt"}
    assert all(
        (ROOT / "requirements" / f"{name}.txt").is_file() for name in ("build", "cpu", "gpu")
    )


@needs_tools
@pytest.mark.parametrize(
    ("flags", "started", "device"),
    [
        ((), "fovea", "cpu"),
        (("--profile", "cpu"), "fovea", "cpu"),
        (("--profile", "gpu"), "fovea-gpu", "cuda"),
    ],
)
def test_a_profile_starts_one_service_so_that_none_competes_for_the_port(
    flags: tuple[str, ...], started: str, device: str
) -> None:
    services = compose(*flags)
    assert list(services) == [started]
    assert services[started]["environment"]["FOVEA_DEVICE"] == device
    assert (
        services[started]["build"]["args"]["RUNTIME"]
        == services[started]["image"].partition(":")[2]
    )


@needs_tools
def test_the_published_port_is_8000_unless_fovea_port_names_another() -> None:
    def published(**variables: str) -> list[str]:
        return [port["published"] for port in compose(**variables)["fovea"]["ports"]]

    assert published() == ["8000"]
    assert published(FOVEA_PORT="9000") == ["9000"]


@needs_tools
def test_only_the_gpu_service_reserves_a_gpu() -> None:
    services = compose("--profile", "cpu", "--profile", "gpu")
    devices = services["fovea-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert [device["capabilities"] for device in devices] == [["gpu"]]
    assert "deploy" not in services["fovea"]


@needs_tools
@pytest.mark.parametrize("name", ["fovea", "fovea-gpu"])
def test_a_container_has_a_read_only_root_no_capabilities_and_only_tmp_to_write_to(
    name: str,
) -> None:
    service = compose("--profile", "cpu", "--profile", "gpu")[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"]
    assert not service.get("privileged")
    assert not service.get("volumes")
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]


@needs_tools
@pytest.mark.parametrize("name", ["fovea", "fovea-gpu"])
def test_the_settings_of_a_container_agree_with_what_it_is_given(name: str) -> None:
    service = compose("--profile", "cpu", "--profile", "gpu")[name]
    given = {
        key: value for key, value in service["environment"].items() if key.startswith("FOVEA_")
    }
    settings = Settings.load(environ=environment() | given)
    size = re.search(r"size=(\d+)m", service["tmpfs"][0])
    assert size is not None
    assert settings.input_store_bytes < int(size[1]) * 2**20
    assert settings.shutdown_seconds < int(service["stop_grace_period"].removesuffix("s"))
    assert [port["target"] for port in service["ports"]] == [settings.port]
