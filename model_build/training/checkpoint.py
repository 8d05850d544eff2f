"""A training on disk: everything that is needed to go on as if it had never stopped.

One `.npz` file: the vectors of the state, and a JSON document with the step, the history and what
tells this training from others. It is written under another name and then renamed: whatever kills
the process, the file is complete.
"""

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_build.training.flat_parameters import ParameterLayout, Vector

_ABOUT = "about"


class CheckpointError(ValueError):
    """The checkpoint cannot be used; the message says why."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training after `step` steps.

    `identity` tells it from other trainings; `history` has one record for each epoch so far; `loss`
    and `correct` are the sums over the epoch under way, `seconds` the time that it all took.
    """

    step: int
    state: Mapping[str, Vector]
    identity: Mapping[str, Any]
    history: tuple[Mapping[str, float], ...] = ()
    loss: float = 0.0
    correct: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Write the file, at once or not at all."""
        about = {
            name: getattr(self, name)
            for name in ("step", "identity", "history", "loss", "correct", "seconds")
        }
        arrays: dict[str, Any] = {_ABOUT: np.array(json.dumps(about)), **self.state}
        file = io.BytesIO()
        np.savez(file, **arrays)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as target:
            target.write(file.getbuffer())
            target.flush()
            os.fsync(target.fileno())
        part.replace(path)


def read(
    path: Path, identity: Mapping[str, Any], layouts: Mapping[str, ParameterLayout]
) -> Checkpoint | None:
    """The checkpoint at `path`; None if there is none.

    Raises CheckpointError for a damaged file and for one of another training, naming what differs.
    """
    try:
        arrays = _arrays(path)
        about = json.loads(str(arrays.pop(_ABOUT)))
        saved = Checkpoint(state=arrays, **{**about, "history": tuple(about["history"])})
    except FileNotFoundError:
        return None
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} is no whole checkpoint ({error}); delete it to begin anew"
        ) from None
    _check_identity(path, saved.identity, json.loads(json.dumps(identity)))
    sizes = {name: (layout.size,) for name, layout in layouts.items()}
    if {name: array.shape for name, array in arrays.items()} != sizes:
        raise CheckpointError(
            f"{path} holds other vectors than the training has; delete it to begin anew"
        )
    return saved


def _check_identity(path: Path, saved: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    names = sorted({*expected, *saved})
    if differing := [name for name in names if expected.get(name) != saved.get(name)]:
        raise CheckpointError(
            f"{path} is of another training: {', '.join(differing)} differ; go on as it began or "
            "delete it"
        )


def _arrays(path: Path) -> dict[str, Any]:
    # Opened here: of a broken file that it opened itself, numpy leaves the closing to chance.
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
