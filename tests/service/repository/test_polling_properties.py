"""Whatever happens to the folder: what is good is served, and no model stops answering that has
files there.
"""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import onnx
from hypothesis import given, settings
from hypothesis import strategies as st

from anatomy import model_file
from service.repository.loader import Loader
from service.repository.manager import ModelManager
from service.repository.scan import ModelKey
from service.runtime.engine import Engine
from tests.service.networks import MATRIX, SIGNALS, parsed

NETWORKS = {"good": parsed(SIGNALS), "another": parsed(SIGNALS, 1), "bad": parsed(MATRIX)}
# Few, so that steps meet; the second is there for the first to be left alone.
KEYS = (("a", "2"), ("a", "10"), ("b", "1"))

Step = tuple[str, ModelKey]
STEPS = st.lists(
    st.tuples(st.sampled_from([*NETWORKS, "delete", "touch", "move"]), st.sampled_from(KEYS)),
    min_size=3,
    max_size=12,
)


def change(folder: Path, disk: dict[ModelKey, str], step: Step) -> None:
    """Do this to the folder, and to `disk`, which says what is there."""
    what, key = step
    path = folder / key[0] / key[1] / "model.onnx"
    if what in NETWORKS:
        model_file.write(NETWORKS[what], path, None)
        disk[key] = what
    elif key in disk and what == "delete":
        shutil.rmtree(path.parent)
        del disk[key]
    elif key in disk and what == "touch":
        path.touch()
    elif key in disk and what == "move":
        target = path.parents[1] / "3"
        shutil.rmtree(target, ignore_errors=True)
        path.parent.rename(target)
        disk[key[0], "3"] = disk.pop(key)


def check(
    served: dict[ModelKey, onnx.ModelProto],
    before: dict[ModelKey, onnx.ModelProto],
    disk: dict[ModelKey, str],
) -> None:
    good = {key for key, what in disk.items() if what != "bad"}
    assert good <= served.keys()
    for key in good:
        assert served[key] == NETWORKS[disk[key]]
    go_on = names(before) & names(disk)
    assert names(served) == names(good) | go_on
    for key in served.keys() - good:
        # A former one: its file is bad now, or gone while no other version of the model can be
        # served.
        assert served[key] == before[key]
        assert disk.get(key) == "bad" or key[0] not in names(good)


def names(keys: Iterable[ModelKey]) -> set[str]:
    return {name for name, _ in keys}


@settings(max_examples=100, deadline=None)
@given(STEPS, st.booleans())
def test_whatever_happens_to_the_folder_what_is_good_is_served_and_nothing_stops_that_has_files(
    steps: list[Step], settles: bool
) -> None:
    """With `settles` the folder is looked at between the steps, without it when all are done."""
    with tempfile.TemporaryDirectory() as name:
        folder, disk = Path(name), dict[ModelKey, str]()
        manager = ModelManager(folder, Loader(Engine("cpu", 1)), "poll")
        before: dict[ModelKey, onnx.ModelProto] = {}
        for index, step in enumerate(steps):
            change(folder, disk, step)
            if settles or index == len(steps) - 1:
                manager.poll()
                manager.poll()
                served = {
                    (model.name, model.version): model.file.proto for model in manager.catalogue
                }
                check(served, before, disk)
                before = served
