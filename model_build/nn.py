"""Small modules on `onnxscript.nn`, from which the networks of the zoo are written.

A module's parameters carry the names that weights are loaded under (`stem.conv.weight`). Tensors
are float32 [N, C, spatial...]; kernels have any number of spatial axes. ONNX checks channel counts
only when a network first runs: here a wrong one raises ShapeError at the line that wrote it, with
expected and got. Weights come from elsewhere by `load`, or training begins with those that
`initial` draws.
"""
# onnxscript makes operators by attribute access, which no type checker can see through.
# mypy: no-warn-return-any

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnxscript import OpBuilder, nn

Padding = Literal["same", "valid"] | Sequence[int]


class ShapeError(ValueError):
    """Sizes do not fit; the message names the module, expected and got."""


class Module(nn.Module):
    """What every module of ours derives from: tensors in, one tensor out."""

    def __call__(self, op: OpBuilder, *values: ir.Value) -> ir.Value:
        """Add this module's nodes to the graph under its name; a ShapeError notes where it was."""
        try:
            return super().__call__(op, *values)
        except ShapeError as error:
            error.add_note(f"in {_title(self)}")
            raise

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """What this module's own parameters (not its parts') start training with, by attribute."""
        return {}


class Conv(Module):
    """Convolution over as many spatial axes as `kernel` has numbers.

    `padding` is "same" (the output has ceil(size / stride) units; an odd pad goes to the end, as in
    TensorFlow), "valid" (none) or ONNX's explicit list: every axis' start, then every axis' end.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: Sequence[int],
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        padding: Padding = "same",
        bias: bool = True,
    ) -> None:
        super().__init__()
        if groups < 1 or channels_in % groups or channels_out % groups:
            raise ShapeError(
                f"Conv: groups must divide {channels_in} and {channels_out} channels, got {groups}"
            )
        if not isinstance(padding, str) and len(padding) != 2 * len(kernel):
            raise ShapeError(
                f"Conv: expected {2 * len(kernel)} pads for kernel {list(kernel)}, got "
                f"{len(padding)}"
            )
        self.channels_in, self.channels_out = channels_in, channels_out
        self.kernel, self.padding = tuple(kernel), padding
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.weight = nn.Parameter([channels_out, channels_in // groups, *kernel])
        self.bias = nn.Parameter([channels_out]) if bias else None

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """[N, channels_in, spatial...] -> [N, channels_out, spatial...]."""
        _expect_channels(self, x, self.channels_in, rank=2 + len(self.kernel))
        inputs = [x, self.weight] if self.bias is None else [x, self.weight, self.bias]
        return op.Conv(
            *inputs,
            kernel_shape=self.kernel,
            strides=[self.stride] * len(self.kernel),
            dilations=[self.dilation] * len(self.kernel),
            group=self.groups,
            **self._pads(x),
        )

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """He's normal distribution for the kernel, zeros for the bias."""
        shape = (self.channels_out, self.channels_in // self.groups, *self.kernel)
        return {"weight": _he_normal(random, shape), "bias": _filled(self.channels_out, 0)}

    def _pads(self, x: ir.Value) -> dict[str, Any]:
        if self.padding == "valid":
            return {"pads": [0] * 2 * len(self.kernel)}
        if not isinstance(self.padding, str):
            return {"pads": list(self.padding)}
        sizes = [size for size in _sizes(x)[2:] if size is not None]
        if len(sizes) < len(self.kernel):
            return {"auto_pad": "SAME_UPPER"}
        totals = [
            self._same_padding(size, kernel)
            for size, kernel in zip(sizes, self.kernel, strict=True)
        ]
        starts = [total // 2 for total in totals]
        ends = [total - total // 2 for total in totals]
        return {"pads": starts + ends}

    def _same_padding(self, size: int, kernel: int) -> int:
        last = (math.ceil(size / self.stride) - 1) * self.stride
        return max(last + (kernel - 1) * self.dilation + 1 - size, 0)


class BatchNorm(Module):
    """Batch normalisation with fixed statistics, per channel.

    (x - mean) / sqrt(variance + epsilon) * scale + bias.
    """

    def __init__(self, channels: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.channels, self.epsilon = channels, epsilon
        self.scale = nn.Parameter([channels])
        self.bias = nn.Parameter([channels])
        self.mean = nn.Parameter([channels])
        self.variance = nn.Parameter([channels])

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """[N, channels, spatial...] -> the same shape."""
        _expect_channels(self, x, self.channels)
        return op.BatchNormalization(
            x, self.scale, self.bias, self.mean, self.variance, epsilon=self.epsilon
        )

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """The identity of data with mean 0 and variance 1."""
        values = {"scale": 1, "bias": 0, "mean": 0, "variance": 1}
        return {name: _filled(self.channels, value) for name, value in values.items()}


class Linear(Module):
    """Fully connected layer: x @ weight.T + bias."""

    def __init__(self, features_in: int, features_out: int) -> None:
        super().__init__()
        self.features_in, self.features_out = features_in, features_out
        self.weight = nn.Parameter([features_out, features_in])
        self.bias = nn.Parameter([features_out])

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """[N, features_in] -> [N, features_out]."""
        _expect_channels(self, x, self.features_in, rank=2)
        return op.Gemm(x, self.weight, self.bias, transB=1)

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """He's normal distribution for the matrix, zeros for the bias."""
        shape = (self.features_out, self.features_in)
        return {"weight": _he_normal(random, shape), "bias": _filled(self.features_out, 0)}


class Relu6(Module):
    """min(max(x, 0), 6)."""

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """Any shape -> the same shape."""
        return op.Clip(x, 0.0, 6.0)


class Add(Module):
    """The sum of two branches of equal shape: a residual connection."""

    def forward(self, op: OpBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
        """Two equal shapes -> the same shape; ONNX would broadcast unequal ones silently."""
        if _sizes(x) != _sizes(y):
            raise ShapeError(
                f"{_title(self)}: expected two equal shapes, got {_sizes(x)} and {_sizes(y)}"
            )
        return op.Add(x, y)


class GlobalAveragePool(Module):
    """The mean of every channel over all spatial axes."""

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """[N, C, spatial...] -> [N, C, 1...]."""
        return op.GlobalAveragePool(x)


class Flatten(Module):
    """All axes after the batch as one."""

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """[N, C, spatial...] -> [N, C * spatial...]."""
        return op.Flatten(x)


class Softmax(Module):
    """Probabilities over the last axis."""

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """[N, classes] -> the same shape, each row summing to 1."""
        return op.Softmax(x, axis=-1)


class Normalise(Module):
    """Pixels to network input, (x - mean) / std: channels last to channels first.

    `mean` and `std` are in pixel values (0 to 255), one number or one per channel.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if not all(value > 0 for value in std):
            raise ShapeError(f"Normalise: expected std above 0, got {list(std)}")
        self.mean = nn.Parameter([len(mean)], data=ir.tensor(np.array(mean, np.float32)))
        self.std = nn.Parameter([len(std)], data=ir.tensor(np.array(std, np.float32)))

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """uint8 [N, spatial..., C] -> float32 [N, C, spatial...]."""
        rank = len(_sizes(x))
        scaled = op.Div(op.Sub(op.Cast(x, to=ir.DataType.FLOAT), self.mean), self.std)
        return op.Transpose(scaled, perm=[0, rank - 1, *range(1, rank - 1)])


def load(module: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Give every parameter without a value its array, by name; every array is used exactly once.

    Raises ShapeError for a missing or unexpected name and for a shape that is not the parameter's.
    """
    empty = {
        name: parameter
        for name, parameter in module.named_parameters()
        if parameter.const_value is None
    }
    missing = sorted(empty.keys() - arrays.keys())
    unexpected = sorted(arrays.keys() - empty.keys())
    if missing or unexpected:
        raise ShapeError(
            f"weights missing: {', '.join(missing) or 'none'}; unexpected: "
            f"{', '.join(unexpected) or 'none'}"
        )
    for name, parameter in empty.items():
        expected, actual = _sizes(parameter), list(arrays[name].shape)
        if expected != actual:
            raise ShapeError(f"{name}: expected shape {expected}, got {actual}")
        parameter.const_value = ir.tensor(np.asarray(arrays[name], np.float32))


def initial(module: nn.Module, seed: int) -> dict[str, NDArray[np.float32]]:
    """An array for every parameter without a value, by name: what training starts with.

    Equal seeds give equal arrays. Raises ShapeError for a parameter that its module
    does not know how to start.
    """
    random = np.random.default_rng(seed)
    arrays: dict[str, NDArray[np.float32]] = {}
    for path, part in module.named_modules():
        drawn = part.draw(random) if isinstance(part, Module) else {}
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.const_value is not None:
                continue
            if name not in drawn:
                raise ShapeError(
                    f"{type(part).__name__} does not say what its parameter {name!r} starts with"
                )
            arrays[f"{path}.{name}".lstrip(".")] = drawn[name]
    return arrays


def _he_normal(random: np.random.Generator, shape: Sequence[int]) -> NDArray[np.float32]:
    """He et al. 2015: std sqrt(2 / fan-in) keeps the variance through ReLUs."""
    return random.normal(0, math.sqrt(2 / math.prod(shape[1:])), shape).astype(np.float32)


def _filled(size: int, value: float) -> NDArray[np.float32]:
    return np.full([size], value, np.float32)


def _sizes(x: ir.Value) -> list[int | None]:
    if x.shape is None:
        raise ShapeError(f"the shape of {x.name!r} is not known")
    return [size if isinstance(size, int) else None for size in x.shape]


def _expect_channels(module: Module, x: ir.Value, expected: int, rank: int | None = None) -> None:
    title, sizes = _title(module), _sizes(x)
    if rank is not None and len(sizes) != rank:
        raise ShapeError(f"{title}: expected an input of {rank} axes, got {len(sizes)}, {sizes}")
    if sizes[1] not in (None, expected):
        raise ShapeError(
            f"{title}: expected {expected} channels, got {sizes[1]} (input shape {sizes})"
        )


def _title(module: Module) -> str:
    return f"{type(module).__name__} {module.name!r}" if module.name else type(module).__name__
