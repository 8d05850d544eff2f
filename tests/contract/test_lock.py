"""The lock files: complete, hashed, in step with pyproject.toml and with one another, and free of
any registry.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
# What each lock holds besides the dependencies of the service itself.
EXTRAS = {
    "cpu": ["cpu"],
    "gpu": ["gpu"],
    "build": ["cpu", "build", "package"],
    "dev": ["cpu", "build", "package", "test", "dev"],
}
LOCKS = sorted(EXTRAS)


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def text(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.txt").read_text()


def entries(lock: str) -> Iterator[tuple[Requirement, list[str]]]:
    """The pins of a lock, each with its hashes."""
    for line in re.sub(r"\\\n", "", text(lock)).splitlines():
        requirement, *hashes = line.split("--hash=")
        yield Requirement(requirement.strip()), [each.strip() for each in hashes]


def pins(lock: str) -> dict[str, str]:
    """Name and version of what a lock installs on Linux on x86-64 with this interpreter."""
    there = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}
    chosen = (pin for pin, _ in entries(lock) if pin.marker is None or pin.marker.evaluate(there))
    return {pin.name: str(pin.specifier).removeprefix("==") for pin in chosen}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_registry_and_no_option_of_pip(lock: str) -> None:
    assert "://" not in text(lock)
    assert all(
        re.match(r"([a-z0-9]|    --hash=sha256:[0-9a-f]{64})", line)
        for line in text(lock).splitlines()
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_is_one_version_with_hashes(lock: str) -> None:
    for pin, hashes in entries(lock):
        assert [each.operator for each in pin.specifier] == ["=="], pin
        assert hashes, pin


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_satisfies_what_pyproject_asks_for(lock: str) -> None:
    locked = pins(lock)
    wanted = [*project()["dependencies"]]
    for extra in EXTRAS[lock]:
        wanted += project()["optional-dependencies"][extra]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(locked[requirement.name]), requirement


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock != "dev"])
def test_what_is_deployed_is_the_version_that_was_tested(lock: str) -> None:
    tested = pins("dev")
    differing = {
        name for name, version in pins(lock).items() if tested.get(name, version) != version
    }
    assert not differing


def test_an_image_holds_one_runtime_and_nothing_of_the_builder() -> None:
    for lock, runtime in (("cpu", "onnxruntime"), ("gpu", "onnxruntime-gpu")):
        assert {name for name in pins(lock) if name.startswith("onnxruntime")} == {runtime}
        assert not {"onnxscript", "onnx-ir", "sympy", "hatchling", "pytest"} & set(pins(lock))


def test_the_build_backend_is_locked_so_that_no_install_fetches_it_unseen() -> None:
    build_system = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    for requirement in map(Requirement, build_system["requires"]):
        assert requirement.specifier.contains(pins("dev")[requirement.name])
