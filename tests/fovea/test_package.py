"""`import fovea` gives what a caller of the service needs, and nothing heavy before it is used."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import fovea
from service import client


def test_the_names_that_people_import_are_those_of_the_client() -> None:
    for name in set(fovea.__all__) - {"__version__"}:
        assert getattr(fovea, name) is getattr(client, name)


def test_the_version_is_that_of_the_distribution() -> None:
    assert fovea.__version__ == version("fovea")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Server'"):
        fovea.Server  # noqa: B018 - it is the look-up that fails


@pytest.mark.parametrize("module", ["fovea", "fovea.__main__", "fovea.probe"])
def test_a_probe_imports_no_client_and_no_framework(module: str) -> None:
    heavy = "{'httpx', 'fastapi', 'numpy', 'onnxruntime', 'pydantic'}"
    code = f"import sys, {module}; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
