"""The checkpoint reader: numbers come out, nothing is executed, everything else is refused with a
reason.
"""

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_build.published.torch_checkpoint import WeightsError, read_torch_legacy, renamed

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MACHINE = {
    "protocol_version": 1001,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}


def name(path: str) -> bytes:
    module, _, attribute = path.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def value(data: object) -> bytes:
    """The opcodes of a plain value, without header and stop."""
    return pickle.dumps(data, protocol=0).removesuffix(b".")


def storage(
    key: str = "1", kind: str = "torch.FloatStorage", length: object = 6, view: object = None
) -> bytes:
    return (
        b"("
        + value("storage")
        + name(kind)
        + value(key)
        + value("cpu")
        + value(length)
        + value(view)
        + b"tQ"
    )


def tensor(
    source: bytes, offset: int = 0, shape: object = (2, 3), strides: object = (3, 1)
) -> bytes:
    arguments = (
        value(offset)
        + value(shape)
        + value(strides)
        + value(False)
        + name("collections.OrderedDict")
        + b")R"
    )
    return name("torch._utils._rebuild_tensor_v2") + b"(" + source + arguments + b"tR"


def dictionary(**tensors: bytes) -> bytes:
    items = b"".join(value(key) + code for key, code in tensors.items())
    return name("collections.OrderedDict") + b")R(" + items + b"u"


def checkpoint(
    body: bytes,
    storages: dict[str, bytes] | None = None,
    magic: object = MAGIC,
    protocol: object = PROTOCOL,
    machine: object = MACHINE,
) -> bytes:
    numbers = {"1": np.arange(6, dtype="<f4").tobytes()} if storages is None else storages
    head = b"".join(pickle.dumps(part, protocol=2) for part in (magic, protocol, machine))
    tail = b"".join(struct.pack("<q", len(data) // 4) + data for data in numbers.values())
    return head + body + b"." + pickle.dumps(list(numbers), protocol=2) + tail


@pytest.fixture
def reading(tmp_path: Path) -> Callable[[bytes], dict[str, Any]]:
    def read(data: bytes) -> dict[str, Any]:
        (tmp_path / "weights.pth").write_bytes(data)
        return read_torch_legacy(tmp_path / "weights.pth")

    return read


Reading = Callable[[bytes], dict[str, Any]]


def test_tensors_come_out_by_name(reading: Reading) -> None:
    tensors = reading(checkpoint(dictionary(w=tensor(storage()))))
    assert list(tensors) == ["w"]
    assert tensors["w"].dtype == np.float32
    assert tensors["w"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_strides_and_offsets_are_followed(reading: Reading) -> None:
    transposed = tensor(storage(), shape=(3, 2), strides=(1, 3))
    part = tensor(storage(), offset=4, shape=(2,), strides=(1,))
    tensors = reading(checkpoint(dictionary(t=transposed, p=part)))
    assert tensors["t"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert tensors["p"].tolist() == [4, 5]


def test_a_scalar_has_no_axes(reading: Reading) -> None:
    tensors = reading(checkpoint(dictionary(n=tensor(storage(), shape=(), strides=()))))
    assert tensors["n"].shape == ()


def test_arrays_own_their_numbers(reading: Reading) -> None:
    tensors = reading(checkpoint(dictionary(w=tensor(storage()))))
    tensors["w"][0, 0] = 7
    assert tensors["w"][0, 0] == 7


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "posix.system",
        "builtins.eval",
        "builtins.getattr",
        "subprocess.Popen",
        "torch.load",
        "torch._utils._rebuild_tensor",
        "collections.namedtuple",
    ],
)
def test_a_pickle_that_asks_for_more_than_tensors_is_refused_by_name(
    path: str, reading: Reading
) -> None:
    attack = name(path) + b"(" + value("touch executed") + b"tR"
    with pytest.raises(WeightsError, match=f"'{path}'.*not run"):
        reading(checkpoint(attack))


def test_nothing_is_executed(reading: Reading, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "executed",))

    attack = pickle.dumps(Malicious(), protocol=2).removesuffix(b".")
    for data in (
        checkpoint(attack),
        attack + b".",
        pickle.dumps(MAGIC, protocol=2) + attack + b".",
    ):
        with pytest.raises(WeightsError):
            reading(data)
    assert not (tmp_path / "executed").exists()


def test_an_attack_in_the_list_of_storages_is_refused(reading: Reading) -> None:
    honest = checkpoint(dictionary(), storages={})
    body = honest.removesuffix(pickle.dumps([], protocol=2))
    with pytest.raises(WeightsError, match=r"'os\.system'"):
        reading(body + name("os.system") + b"(" + value("true") + b"tR.")


def test_a_pickle_cannot_alter_what_has_been_checked(reading: Reading) -> None:
    # BUILD sets attributes: of a dataclass it would replace the offsets that were validated before.
    altered = tensor(storage()) + b"(N" + value({"offset": -1000, "strides": (-3, -1)}) + b"tb"
    with pytest.raises(WeightsError, match="corrupt"):
        reading(checkpoint(dictionary(w=altered)))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (tensor(storage(), shape=(2, 4), strides=(4, 1)), "outside its storage"),
        (tensor(storage(), offset=1), "outside its storage"),
        (tensor(storage(), shape=(1000, 1000), strides=(0, 0)), "outside its storage"),
        (tensor(storage(), offset=-1), "corrupt"),
        (tensor(storage(), strides=(3, -1)), "corrupt"),
        (tensor(storage(), shape=(2, 3, 1)), "corrupt"),
        (tensor(storage(), shape=(1, 1 << 70)), "corrupt"),
        (tensor(value("storage")), "corrupt"),
        (tensor(storage(kind="collections.OrderedDict")), "no storage"),
        (tensor(storage(length=-6)), "no storage"),
        (tensor(storage(length=7)), "has 6 numbers, expected 7"),
        (tensor(storage(key="2")), "list of storages"),
        (tensor(storage(view=("1", 0, 6))), "views"),
        (tensor(storage()) + b"0" + storage(length=5), "two ways"),
        (value(3), "no tensor under 'w'"),
    ],
)
def test_a_tensor_that_is_not_sound_is_refused(code: bytes, reason: str, reading: Reading) -> None:
    with pytest.raises(WeightsError, match=reason):
        reading(checkpoint(dictionary(w=code)))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"\xff\xd8\xff\xe0 a picture", "corrupt"),
        (b"PK\x03\x04....", "newer zip format"),
        (checkpoint(dictionary(), {}, magic=1), "magic number"),
        (checkpoint(dictionary(), {}, protocol=7), "protocol version 7"),
        (checkpoint(dictionary(), {}, machine={"little_endian": False}), "little-endian"),
        (checkpoint(value([1]), {}), "holds list"),
        (checkpoint(dictionary(w=tensor(storage())))[:-1], "cut off"),
        (checkpoint(dictionary(w=tensor(storage()))) + b"x", "goes on"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(
    data: bytes, reason: str, reading: Reading
) -> None:
    with pytest.raises(WeightsError, match=reason):
        reading(data)


def test_a_checkpoint_cut_anywhere_is_refused(reading: Reading) -> None:
    data = checkpoint(dictionary(w=tensor(storage())))
    for length in range(len(data)):
        with pytest.raises(WeightsError):
            reading(data[:length])


def test_the_helpers_of_this_test_write_what_pickle_reads() -> None:
    assert pickle.Unpickler(io.BytesIO(dictionary(a=value(1)) + b".")).load() == OrderedDict(a=1)


ONE = np.zeros(1)


def test_tensors_are_renamed_by_the_rule_that_matches_the_whole_name() -> None:
    tensors = renamed(
        {"layer1.w": ONE, "layer1.seen": ONE},
        {r"layer(\d)\.w": r"blocks.\1.weight"},
        frozenset({"seen"}),
    )
    assert list(tensors) == ["blocks.1.weight"]


def test_a_tensor_without_rule_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"no place is known for the tensor 'a\.wx'"):
        renamed({"a.wx": ONE}, {r"a\.w": "b"})


def test_two_tensors_for_one_place_are_refused() -> None:
    with pytest.raises(WeightsError, match="two tensors are meant for 'b'"):
        renamed({"a1": ONE, "a2": ONE}, {r"a\d": "b"})
