"""A reader of PyTorch's first (before 1.6) checkpoint format that executes nothing.

Such a file is four pickles (magic number, protocol version, facts about the machine, the dictionary
of tensors), a fifth one with the order of the storages, and the storages themselves: a count as
int64, then the bare numbers. A pickle is a program; this reader resolves only the names that a
dictionary of tensors needs, each to an inert object of our own, and refuses everything else before
anything is called.
"""

import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_ZIP = b"PK\x03\x04"
# Far above any tensor, far below what overflows a byte offset of 64 bits.
_LARGEST = 1 << 40
_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
# What pickle.Unpickler raises for bytes that are no pickle of ours, by its own documentation and by
# experience.
_BROKEN = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)


class WeightsError(ValueError):
    """The weights cannot be used; the message says what was expected and what was found."""


# What a pickle can touch is made of tuples: its BUILD opcode sets attributes, and would alter even
# a frozen dataclass.
class _StorageType(NamedTuple):
    dtype: str


class _Storage(NamedTuple):
    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def view(self, numbers: Array) -> Array:
        """The tensor as a contiguous array.

        Raises WeightsError where it would reach outside its storage.
        """
        count: int = math.prod(self.shape)
        axes = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((size - 1) * stride for size, stride in axes)
        if count > numbers.size or (count and last >= numbers.size):
            raise WeightsError(
                f"a tensor of shape {list(self.shape)} reaches outside its storage of "
                f"{numbers.size}"
            )
        strides = tuple(stride * numbers.itemsize for stride in self.strides)
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides).copy()


class _RebuildTensor:
    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_rest: Any) -> _Tensor:
        sizes = (offset, *shape, *strides)
        if not isinstance(storage, _Storage) or len(shape) != len(strides):
            raise pickle.UnpicklingError("a tensor without storage")
        if any(type(size) is not int or not 0 <= size < _LARGEST for size in sizes):
            raise pickle.UnpicklingError("a tensor whose sizes are not whole numbers")
        return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}
        self._names: dict[str, Callable[..., Any] | _StorageType] = {
            "collections.OrderedDict": OrderedDict,
            "torch._utils._rebuild_tensor_v2": _RebuildTensor(),
            **{f"torch.{name}": _StorageType(dtype) for name, dtype in _STORAGES.items()},
        }

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """The inert object for a permitted name; raises WeightsError for every other."""
        name = f"{module_name}.{global_name}"
        if name not in self._names:
            raise WeightsError(
                f"the pickle asks for {name!r}, which a file of weights does not need; it was not "
                "run"
            )
        return self._names[name]

    def persistent_load(self, pid: Any, /) -> _Storage:
        """Note one storage: ("storage", type, key, device, length, None)."""
        kind, storage_type, key, _device, length, view = pid
        if (
            kind != "storage"
            or not isinstance(storage_type, _StorageType)
            or type(length) is not int
            or not 0 <= length < _LARGEST
        ):
            raise WeightsError("the pickle refers to something that is no storage")
        if view is not None:
            raise WeightsError("views of storages are not supported")
        storage = _Storage(str(key), storage_type.dtype, length)
        if self.storages.setdefault(storage.key, storage) != storage:
            raise WeightsError(f"storage {key} is described in two ways")
        return storage


def read_torch_legacy(path: Path) -> dict[str, Array]:
    """Every tensor of a checkpoint by its name, as contiguous arrays of the stored type.

    Raises WeightsError for any other format, for a truncated file and for a pickle that asks for
    more than tensors.
    """
    data = path.read_bytes()
    if data.startswith(_ZIP):
        raise WeightsError(
            f"{path.name} is in torch's newer zip format; only the one before torch 1.6 is read"
        )
    file = io.BytesIO(data)
    tensors, storages = _described(file, path.name)
    numbers = {key: _numbers(file, storages[key]) for key in _order(file, storages)}
    if file.read(1):
        raise WeightsError(f"{path.name} goes on after its last storage")
    return {name: tensor.view(numbers[tensor.storage.key]) for name, tensor in tensors.items()}


def _described(file: io.BytesIO, name: str) -> tuple[dict[str, _Tensor], dict[str, _Storage]]:
    if (magic := _load(_Unpickler(file))) != _MAGIC or type(magic) is not int:
        raise WeightsError(f"{name} is no checkpoint of torch: its magic number is wrong")
    if (protocol := _load(_Unpickler(file))) != _PROTOCOL:
        raise WeightsError(f"{name} has protocol version {protocol}, expected {_PROTOCOL}")
    machine = _load(_Unpickler(file))
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise WeightsError(f"{name} was not written on a little-endian machine")
    unpickler = _Unpickler(file)
    tensors = _load(unpickler)
    if not isinstance(tensors, dict):
        raise WeightsError(
            f"{name} holds {type(tensors).__name__}, expected a dictionary of tensors"
        )
    for key, value in tensors.items():
        if not isinstance(key, str) or not isinstance(value, _Tensor):
            raise WeightsError(f"{name} holds something that is no tensor under {str(key)[:80]!r}")
    return dict(tensors), unpickler.storages


def _load(unpickler: _Unpickler) -> Any:
    try:
        return unpickler.load()
    except WeightsError:
        raise
    except _BROKEN as error:
        raise WeightsError(
            f"the file is truncated or corrupt ({type(error).__name__} in a pickle)"
        ) from None


def _order(file: io.BytesIO, storages: Mapping[str, _Storage]) -> list[str]:
    keys = _load(_Unpickler(file))
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise WeightsError("the file's list of storages is not the one that its tensors need")
    return [str(key) for key in keys]


def _numbers(file: io.BytesIO, storage: _Storage) -> Array:
    length = int.from_bytes(file.read(8), "little", signed=True)
    if length != storage.length:
        raise WeightsError(f"storage {storage.key} has {length} numbers, expected {storage.length}")
    dtype = np.dtype(storage.dtype)
    data = file.read(length * dtype.itemsize)
    if len(data) < length * dtype.itemsize:
        raise WeightsError(f"the file is truncated: storage {storage.key} is cut off")
    return np.frombuffer(data, dtype)


def renamed(
    tensors: Mapping[str, Array], rules: Mapping[str, str], unused: frozenset[str] = frozenset()
) -> dict[str, Array]:
    """The tensors under other names.

    Of the rules (regular expression -> replacement) the first that matches a full name counts.
    Names whose last part is in `unused` are left out. Raises WeightsError for a name that no rule
    knows and for two tensors that would get one name.
    """
    result: dict[str, Array] = {}
    for name, tensor in tensors.items():
        if name.rpartition(".")[2] in unused:
            continue
        target = _new_name(name, rules)
        if target in result:
            raise WeightsError(f"two tensors are meant for {target!r}")
        result[target] = tensor
    return result


def _new_name(name: str, rules: Mapping[str, str]) -> str:
    for pattern, replacement in rules.items():
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement)
    raise WeightsError(f"no place is known for the tensor {name!r}")
