"""Gradients of operators that mix whole axes."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy.gradients.gradient import gradient
from anatomy.gradients.rules.base import UnknownGradientError
from tests.anatomy.gradients.gradients import (
    BOUNDED,
    Array,
    check,
    check_again,
    check_one,
    double,
    feeds_of,
    normal,
    one,
    run,
)

REDUCTIONS = "Sum Mean Max Min L1 L2 SumSquare LogSum LogSumExp Prod".split()
CURVED = ["L2", "SumSquare", "LogSum", "LogSumExp", "Prod"]
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def positive(*shape: int) -> Array:
    return np.abs(normal(*shape)) + 0.1


@pytest.mark.parametrize("operator", REDUCTIONS)
@BOUNDED
@given(shape=shapes, keep=st.integers(0, 1), as_input=st.booleans(), data=st.data())
def test_a_reduction_hands_back_along_its_axes(
    operator: str, shape: tuple[int, ...], keep: int, as_input: bool, data: st.DataObject
) -> None:
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True))
    signed = [axis - data.draw(st.sampled_from([0, len(shape)])) for axis in axes]
    tensors: dict[str, Any] = {"x": positive(*shape)}
    curved = (
        ["x"]
        if operator in CURVED and np.prod([shape[axis] for axis in axes or range(len(shape))]) > 1
        else []
    )
    if as_input or operator == "Sum":
        extra = {"a": np.array(signed, np.int64)} if axes else {}
        check_one(f"Reduce{operator}", {**tensors, **extra}, curved=curved, keepdims=keep)
    else:
        attributes = {"axes": signed} if axes else {}
        check_one(
            f"Reduce{operator}", tensors, curved=curved, keepdims=keep, opset=13, **attributes
        )


def test_without_axes_a_reduction_may_be_the_identity() -> None:
    tensors = {"x": normal(2, 3), "a": np.array([], np.int64)}
    check_one("ReduceMean", tensors, noop_with_empty_axes=1)
    with pytest.raises(
        UnknownGradientError, match="ReduceL1 'node' has no gradient rule for no axes"
    ):
        gradient(one("ReduceL1", tensors, noop_with_empty_axes=1), "y", ["x"])


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_a_product_with_zeros_has_the_product_of_the_others(zeros: int) -> None:
    x = np.array([2.0, 3, 5, 7])
    x[:zeros] = 0
    (back,) = slopes("ReduceProd", {"x": x})
    assert back.tolist() == [np.prod(np.delete(x, i)) for i in range(4)]


@pytest.mark.parametrize(
    ("operator", "x", "expected"),
    [
        ("ReduceMax", [1, 4, 4, 2], [0, 0.5, 0.5, 0]),
        ("ReduceMin", [1, 1, 4, 1], [1 / 3, 1 / 3, 0, 1 / 3]),
        ("ReduceL1", [-1, 0, 2], [-1, 0, 1]),
        ("ReduceL2", [0, 0], [0, 0]),
        ("ReduceL2", [3, 4], [0.6, 0.8]),
    ],
)
def test_ties_share_and_corners_have_the_middle_slope(
    operator: str, x: list[float], expected: list[float]
) -> None:
    (back,) = slopes(operator, {"x": np.array(x, float)})
    assert back.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 5), (2, 1, 2, 3, 4)])
def test_a_global_pool_hands_back_to_all_positions(shape: tuple[int, ...]) -> None:
    check_one("GlobalAveragePool", {"x": normal(*shape)})
    x = np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype(np.float32)
    extended, (name,) = gradient(one("GlobalMaxPool", {"x": x}), "y", ["x"])
    session = onnxruntime.InferenceSession(
        extended.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (back,) = session.run([name], {"x": x})
    assert (back == (x == x.max(tuple(range(2, x.ndim)), keepdims=True))).all()


def test_open_positions_are_counted_at_run() -> None:
    for text in ("GlobalAveragePool(x)", "ReduceMean(x)"):
        model = double(f"(real[N,2,H,W] x) => (real[A,B,C,D] y) {{ y = {text} }}")
        check(model, {"x": normal(3, 2, 4, 5)}, "y", ["x"])


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
@BOUNDED
@given(shape=shapes, data=st.data())
def test_softmax_and_its_logarithm_along_any_axis(
    operator: str, shape: tuple[int, ...], data: st.DataObject
) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    check_one(operator, {"x": normal(*shape)}, axis=axis, curved=["x"])


@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("exclusive", [0, 1])
def test_a_running_sum_runs_back(reverse: int, exclusive: int) -> None:
    tensors = {"x": normal(2, 3, 4), "a": np.array(1, np.int64)}
    check_one("CumSum", tensors, reverse=reverse, exclusive=exclusive)


@BOUNDED
@given(
    sizes=st.tuples(*[st.integers(1, 4)] * 3),
    turned=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    bias=st.sampled_from([None, (), (1,), (0,), (1, 0), (2, 0), (2, 1)]),
    factors=st.sampled_from([{}, {"alpha": 0.7, "beta": -0.3}]),
)
def test_gemm_in_every_form(
    sizes: tuple[int, int, int],
    turned: tuple[int, int],
    bias: tuple[int, ...] | None,
    factors: dict[str, Any],
) -> None:
    n, k, m = sizes
    tensors = {
        "a": normal(*((k, n) if turned[0] else (n, k))),
        "b": normal(*((m, k) if turned[1] else (k, m)), seed=1),
    }
    if bias is not None:
        # 0 stands for the number of columns, 2 for that of rows.
        tensors["c"] = normal(*({0: m, 1: 1, 2: n}[size] for size in bias), seed=2)
    check_one("Gemm", tensors, transA=turned[0], transB=turned[1], **factors)
    check_again(one("Gemm", tensors, transA=turned[0], transB=turned[1]), feeds_of(tensors), ["b"])


@BOUNDED
@given(
    stack=st.lists(st.integers(1, 3), max_size=2),
    sizes=st.tuples(*[st.integers(1, 3)] * 3),
    data=st.data(),
)
def test_products_of_stacks_of_matrices(
    stack: list[int], sizes: tuple[int, int, int], data: st.DataObject
) -> None:
    leads = [
        [data.draw(st.sampled_from([size, 1])) for size in stack][
            data.draw(st.integers(0, len(stack))) :
        ]
        for _ in "ab"
    ]
    n, k, m = sizes
    tensors = {"a": normal(*leads[0], n, k), "b": normal(*leads[1], k, m, seed=1)}
    check_one("MatMul", tensors, curved=["b"])


@pytest.mark.parametrize(
    ("left", "right"),
    [((4,), (4,)), ((4,), (4, 3)), ((3, 4), (4,)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3))],
)
def test_products_with_vectors(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    check_one("MatMul", {"a": normal(*left), "b": normal(*right, seed=1)}, curved=["b"])


def test_a_dense_layer_transposes_nothing() -> None:
    for operator, shape in (("Gemm", (3, 4)), ("MatMul", (3, 4))):
        model = one(operator, {"a": normal(*shape), "b": normal(4, 5)})
        extended, _ = gradient(model, "y", ["a", "b"], "r")
        assert [node.op_type for node in extended.graph.node[1:]] == ["Gemm", "Gemm"]


def slopes(operator: str, tensors: dict[str, Array]) -> list[Array]:
    """The gradients of the sum of y."""
    extended, names = gradient(one(operator, tensors), "y", list(tensors))
    return run(extended, names, tensors)
