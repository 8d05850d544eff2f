"""A checkpoint is whole or not there, and only the training that wrote it goes on from it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_build.training.checkpoint import Checkpoint, CheckpointError, read
from model_build.training.flat_parameters import ParameterLayout, ParameterLayoutError

LAYOUTS = {"w": ParameterLayout.of({"a": [2, 3], "b": [1]})}
IDENTITY = {"seed": 3, "schedule": {"peak": 0.1}, "examples": [4, 5]}
VECTOR = np.random.default_rng(0).normal(size=7).astype(np.float32)
RECORD = {"epoch": 1, "loss": 0.1 + 0.2, "score": 1 / 3}
SAVED = Checkpoint(17, {"w": VECTOR}, IDENTITY, (RECORD,), loss=1e-17 + 1, correct=12, seconds=3.5)


def test_what_is_read_is_what_was_saved_to_the_last_bit(tmp_path: Path) -> None:
    SAVED.save(tmp_path / "new" / "folder.npz")
    checkpoint = read(tmp_path / "new" / "folder.npz", IDENTITY, LAYOUTS)
    assert checkpoint is not None
    assert checkpoint.state["w"].tobytes() == VECTOR.tobytes()
    assert (
        checkpoint.step,
        checkpoint.history,
        checkpoint.loss,
        checkpoint.correct,
        checkpoint.seconds,
    ) == (
        17,
        (RECORD,),
        1.0,
        12,
        3.5,
    )


def test_without_a_file_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert read(tmp_path / "none.npz", IDENTITY, LAYOUTS) is None


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 4}, "seed"),
        ({"schedule": {"peak": 0.2}, "examples": [9, 9]}, "examples, schedule"),
        ({"epochs": 3}, "epochs"),
    ],
)
def test_the_checkpoint_of_another_training_is_refused_by_what_differs(
    tmp_path: Path, changed: dict[str, Any], named: str
) -> None:
    SAVED.save(tmp_path / "c.npz")
    with pytest.raises(CheckpointError, match=f"of another training: {named} differ"):
        read(tmp_path / "c.npz", {**IDENTITY, **changed}, LAYOUTS)


def test_vectors_of_another_size_are_refused(tmp_path: Path) -> None:
    SAVED.save(tmp_path / "c.npz")
    with pytest.raises(CheckpointError, match="other vectors"):
        read(tmp_path / "c.npz", IDENTITY, {"w": ParameterLayout.of({"a": [2, 3]})})


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    SAVED.save(tmp_path / "c.npz")
    data = (tmp_path / "c.npz").read_bytes()
    (tmp_path / "c.npz").write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        read(tmp_path / "c.npz", IDENTITY, LAYOUTS)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    SAVED.save(tmp_path / "c.npz")
    data = bytearray((tmp_path / "c.npz").read_bytes())
    data[data.index(VECTOR.tobytes()) + 5] ^= 1
    (tmp_path / "c.npz").write_bytes(data)
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        read(tmp_path / "c.npz", IDENTITY, LAYOUTS)


def test_a_write_that_breaks_off_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SAVED.save(tmp_path / "c.npz")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        Checkpoint(18, {"w": VECTOR * 0}, IDENTITY).save(tmp_path / "c.npz")
    checkpoint = read(tmp_path / "c.npz", IDENTITY, LAYOUTS)
    assert checkpoint is not None
    assert checkpoint.step == 17


def test_a_layout_packs_and_unpacks_and_refuses_other_arrays() -> None:
    arrays = {"b": np.ones(1, np.float32), "a": np.arange(6, dtype=np.float32).reshape(2, 3)}
    layout = LAYOUTS["w"]
    assert layout.pack(arrays).tolist() == [0, 1, 2, 3, 4, 5, 1]
    back = layout.unpack(layout.pack(arrays))
    assert {name: array.tolist() for name, array in back.items()} == {
        "a": [[0, 1, 2], [3, 4, 5]],
        "b": [1],
    }
    with pytest.raises(
        ParameterLayoutError, match=r"a: expected shape \[2, 3\], got shape \[3, 2\]"
    ):
        layout.pack({**arrays, "a": arrays["a"].T})
    with pytest.raises(ParameterLayoutError, match=r"b: expected shape .*, got no such tensor"):
        layout.pack({"a": arrays["a"]})
    with pytest.raises(ParameterLayoutError, match="c: expected no such tensor"):
        layout.pack({**arrays, "c": arrays["b"]})
