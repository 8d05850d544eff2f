"""Inputs to try a built model with: photographs, copied into the folder `samples` beside its file."""

from pathlib import Path

FOLDER = "samples"
README = "README.md"


def copy_photographs(source: Path, folder: Path) -> int:
    """Copy the JPEGs of a folder, and its README with the credits, where they are not there yet;
    how many pictures.
    """
    copied = 0
    for file in [*sorted(source.glob("*.jpg")), source / README]:
        data = file.read_bytes() if file.is_file() else b""
        target = folder / file.name
        if data and not (target.is_file() and target.read_bytes() == data):
            write_readable(target, data)
            copied += file.name != README
    return copied


def write_readable(path: Path, data: bytes) -> None:
    """Write a file under its name only when it is complete, for everyone to read; makes folders.
    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(data)
    temporary.replace(path)
