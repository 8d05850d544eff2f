"""The oracle of gradients: central differences in a random direction, in double precision."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from anatomy.gradients.gradient import gradient

Array = NDArray[np.float64]
COTANGENT = "r"
BOUNDED = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=(
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ),
)
SINGLE: dict[str, Any] = {"step": 1e-2, "tolerance": 1e-3}
"""For what the reference evaluator computes in single precision: Erf, Gelu and some that are
functions of others.
"""


def normal(*shape: int, seed: int = 0) -> Array:
    """Random numbers."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def one(
    operator: str,
    tensors: Mapping[str, NDArray[Any] | None],
    *,
    outputs: Sequence[str] = ("y",),
    opset: int = 20,
    is_open: bool = False,
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one node. Whole numbers are constants, None is left out; `is_open` leaves the
    first sizes open.
    """
    inputs, constants = [], []
    for name, array in tensors.items():
        if array is None:
            continue
        if array.dtype.kind == "f":
            inputs.append(_input(name, array, is_open))
        else:
            constants.append(numpy_helper.from_array(array, name))
    names = [name if array is not None else "" for name, array in tensors.items()]
    node = helper.make_node(operator, names, list(outputs), name="node", **attributes)
    real = inputs[0].type.tensor_type.elem_type
    results = [helper.make_tensor_value_info(name, real, None) for name in outputs if name]
    graph = helper.make_graph([node], "one", inputs, results, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def _input(name: str, array: NDArray[Any], is_open: bool) -> onnx.ValueInfoProto:
    shape: list[int | str] = list(array.shape)
    if is_open and shape:
        shape[0] = f"N{shape[0]}"
    element_type = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, element_type, shape)


def feeds_of(tensors: Mapping[str, NDArray[Any] | None]) -> dict[str, Array]:
    """What is fed to such a model."""
    return {
        name: array
        for name, array in tensors.items()
        if array is not None and array.dtype.kind == "f"
    }


def check_one(
    operator: str,
    tensors: Mapping[str, NDArray[Any] | None],
    *,
    curved: Sequence[str] = (),
    **options: Any,
) -> onnx.ModelProto:
    """Check an operator with respect to all its floating-point inputs, with known sizes and with an
    open first one.

    `curved` names inputs that the gradient with respect to the first input depends on: of it, too,
    the gradients are checked. Gives the model that was extended by the gradients.
    """
    how = {key: options.pop(key) for key in ("step", "tolerance") if key in options}
    feeds = feeds_of(tensors)
    check(one(operator, tensors, is_open=True, **options), feeds, "y", list(feeds), **how)
    model = one(operator, tensors, **options)
    extended = check(model, feeds, "y", list(feeds), **how)
    if curved:
        check_again(model, feeds, curved, **how)
    return extended


def check_again(
    model: onnx.ModelProto, feeds: Mapping[str, Array], curved: Sequence[str], **how: Any
) -> None:
    """Check the gradients of the gradient of y with respect to the first input."""
    first, (name,) = gradient(model, "y", [next(iter(feeds))], COTANGENT)
    (value,) = run(model, ["y"], feeds)
    check(
        first,
        {**feeds, COTANGENT: normal(*value.shape)},
        name,
        [*curved, COTANGENT],
        cotangent="again",
        **how,
    )


def double(text: str, opset: int = 20) -> onnx.ModelProto:
    """A model from ONNX text; `real` stands for double precision."""
    header = f'<ir_version: 10, opset_import: ["": {opset}]>'
    return onnx.parser.parse_model(f"{header} net {text.replace('real', 'double')}")


def run(model: onnx.ModelProto, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
    """Values of these tensors by ONNX's reference evaluator."""
    complete = onnx.ModelProto()
    complete.CopyFrom(model)
    del complete.graph.output[:]
    complete.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outputs)
    with np.errstate(all="ignore"):
        return [np.asarray(value) for value in ReferenceEvaluator(complete).run(None, dict(feeds))]


def check(
    model: onnx.ModelProto,
    feeds: Mapping[str, Array],
    of: str,
    wrt: Sequence[str],
    seed: int = 0,
    tolerance: float = 1e-6,
    step: float = 1e-6,
    cotangent: str = COTANGENT,
) -> onnx.ModelProto:
    """Assert that the gradients of sum(r * of) are what central differences say, and give the
    extended model.
    """
    random = np.random.default_rng(seed)
    (value,) = run(model, [of], feeds)
    weights = random.normal(size=value.shape)
    extended, names = gradient(model, of, wrt, cotangent)
    gradients = run(extended, names, {**feeds, cotangent: weights})
    for name, grad in zip(wrt, gradients, strict=True):
        assert grad.shape == feeds[name].shape, name
        direction = random.normal(size=grad.shape)
        ends = [
            run(model, [of], {**feeds, name: feeds[name] + sign * direction})[0]
            for sign in (step, -step)
        ]
        slope = float((weights * (ends[0] - ends[1])).sum() / (2 * step))
        expected = float((grad * direction).sum())
        scale = max(1.0, float(np.abs(grad * direction).sum()))
        assert abs(slope - expected) <= tolerance * scale, (name, slope, expected)
    return extended
