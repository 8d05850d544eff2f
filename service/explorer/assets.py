"""The page's files, kept in memory: an address that holds their digest may be cached for ever."""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

STATIC = Path(str(resources.files("service.explorer").joinpath("static")))
PAGE = "index.html"
FOLDER = "explorer/"
THEME = "theme.js"
"""The one script that is no module."""


@dataclass(frozen=True)
class Asset:
    """A file's bytes, their media type and an ETag."""

    data: bytes
    media_type: str
    etag: str


@dataclass(frozen=True)
class Assets:
    """All files by their path below the folder, and one digest of them all."""

    files: Mapping[str, Asset]
    digest: str
    newest: int
    """Nanoseconds: when the last of them changed."""

    @property
    def page(self) -> bytes:
        """The page, which names its files below the digest, and all modules at once: not one import
        after another.
        """
        modules = (name for name in self.files if name.endswith(".js") and name != THEME)
        preloads = "".join(
            f'<link rel="modulepreload" href="{FOLDER}{name}">\n' for name in modules
        )
        text = self.files[PAGE].data.decode().replace("</head>", f"{preloads}</head>")
        return text.replace(FOLDER, f"{FOLDER}{self.digest}/").encode()


def load(folder: Path = STATIC) -> Assets:
    """Read every file of the folder."""
    paths = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    files = {name: _asset(path) for name, path in paths.items()}
    tags = "\n".join(f"{name} {asset.etag}" for name, asset in files.items())
    digest = hashlib.sha256(tags.encode()).hexdigest()[:16]
    return Assets(files, digest, newest(folder))


def newest(folder: Path = STATIC) -> int:
    """When a file or folder of it last changed, in nanoseconds; looking takes a fraction of a
    millisecond.
    """
    return max(path.stat().st_mtime_ns for path in (folder, *folder.rglob("*")))


def _asset(path: Path) -> Asset:
    data = path.read_bytes()
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    # Some systems know scripts by an older name, which a browser told not to sniff refuses.
    media_type = "text/javascript" if path.suffix == ".js" else media_type
    charset = "; charset=utf-8" if media_type.startswith("text/") else ""
    return Asset(data, media_type + charset, f'"{hashlib.sha256(data).hexdigest()[:16]}"')
