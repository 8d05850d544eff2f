"""The oracle of gradients: central differences in a random direction, in double precision."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from onnx.reference import ReferenceEvaluator

from anatomy.gradient import gradient

Array = NDArray[np.float64]
COTANGENT = "r"


def double(text: str, opset: int = 20) -> onnx.ModelProto:
    """A model from ONNX text; `real` stands for double precision."""
    header = f'<ir_version: 10, opset_import: ["": {opset}]>'
    return onnx.parser.parse_model(f"{header} net {text.replace('real', 'double')}")


def run(model: onnx.ModelProto, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
    """Values of these tensors by ONNX's reference evaluator."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    del whole.graph.output[:]
    whole.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outputs)
    with np.errstate(all="ignore"):
        return [np.asarray(value) for value in ReferenceEvaluator(whole).run(None, dict(feeds))]


def check(
    model: onnx.ModelProto,
    feeds: Mapping[str, Array],
    of: str,
    wrt: Sequence[str],
    seed: int = 0,
    tolerance: float = 1e-6,
    step: float = 1e-6,
) -> onnx.ModelProto:
    """Assert that the gradients of sum(r * of) are what central differences say, and give the extended model."""
    random = np.random.default_rng(seed)
    (value,) = run(model, [of], feeds)
    weights = random.normal(size=value.shape)
    extended, names = gradient(model, of, wrt, COTANGENT)
    found = run(extended, names, {**feeds, COTANGENT: weights})
    for name, grad in zip(wrt, found, strict=True):
        assert grad.shape == feeds[name].shape, name
        direction = random.normal(size=grad.shape)
        ends = [run(model, [of], {**feeds, name: feeds[name] + sign * direction})[0] for sign in (step, -step)]
        slope = float((weights * (ends[0] - ends[1])).sum() / (2 * step))
        expected = float((grad * direction).sum())
        scale = max(1.0, float(np.abs(grad * direction).sum()))
        assert abs(slope - expected) <= tolerance * scale, (name, slope, expected)
    return extended
