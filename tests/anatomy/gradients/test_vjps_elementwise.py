"""Gradients of operators that compute each value for itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy.gradients.gradient import gradient
from anatomy.gradients.rules.elementwise import BINARY, UNARY
from tests.anatomy.gradients.gradients import (
    BOUNDED,
    SINGLE,
    Array,
    check_one,
    double,
    normal,
    one,
    run,
)

POSITIVE = {"Log", "Sqrt", "Reciprocal"}
ATTRIBUTES: Mapping[str, Sequence[dict[str, Any]]] = {
    "Celu": [{"alpha": 0.7}],
    "Elu": [{"alpha": 0.7}],
    "Gelu": [{}, {"approximate": "tanh"}],
    "HardSigmoid": [{"alpha": 0.3, "beta": 0.4}],
    "LeakyRelu": [{}, {"alpha": 0.3}],
    "Selu": [{}, {"alpha": 1.2, "gamma": 0.8}],
    "Swish": [{}, {"alpha": 1.5}],
    "ThresholdedRelu": [{"alpha": 0.3}],
}
LINEAR_BY_PARTS = set("Abs HardSigmoid Identity LeakyRelu Neg Relu ThresholdedRelu".split())
OPSETS = {"Swish": 24, "Mish": 18}
CASES = [
    (operator, attributes) for operator in UNARY for attributes in ATTRIBUTES.get(operator, [{}])
]


@pytest.mark.parametrize(("operator", "attributes"), CASES)
def test_a_function_of_one_variable_has_its_derivative_and_its_second(
    operator: str, attributes: dict[str, Any]
) -> None:
    x = 2 * normal(3, 4, 2)
    x = np.abs(x) + 0.1 if operator in POSITIVE else x
    how = SINGLE if operator in ("Erf", "Gelu", "Mish", "Swish") else {}
    curved = [] if operator in LINEAR_BY_PARTS else ["x"]
    check_one(
        operator, {"x": x}, curved=curved, opset=OPSETS.get(operator, 20), **attributes, **how
    )


@st.composite
def broadcast(draw: st.DrawFn) -> tuple[Array, Array]:
    """Two arrays of shapes that numpy broadcasts."""
    wide = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    shapes = [
        [draw(st.sampled_from([size, 1])) for size in wide][draw(st.integers(0, len(wide))) :]
        for _ in "ab"
    ]
    return normal(*shapes[0], seed=1), normal(*shapes[1], seed=2)


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum"])
@BOUNDED
@given(pair=broadcast())
def test_a_function_of_two_variables_sums_over_what_it_broadcasts(
    operator: str, pair: tuple[Array, Array]
) -> None:
    a, b = pair
    if operator == "Pow":
        a = np.abs(a) + 0.2
    if operator == "Div":
        b = b + np.sign(b) * 0.3
    check_one(
        operator,
        {"a": a, "b": b},
        curved={"Pow": ["a", "b"], "Div": ["b"], "Mul": ["b"]}.get(operator, []),
    )


@pytest.mark.parametrize("narrow", [(1, 3), (4, 3), (1, 1), (3,), (4, 1)])
def test_sizes_that_are_one_only_at_run_are_summed_over_at_run(narrow: tuple[int, ...]) -> None:
    shape = ",".join(f"K{i}" for i in range(len(narrow)))
    model = double(f"(real[N,M] a, real[{shape}] b) => (real[A,B] y) {{ y = Mul(a, b) }}")
    extended, names = gradient(model, "y", ["a", "b"])
    a, b = normal(4, 3), normal(*narrow)
    of_a, of_b = run(extended, names, {"a": a, "b": b})
    assert np.allclose(of_a, np.broadcast_to(b, (4, 3)))
    axes = tuple(i for i in range(2) if ((1,) * (2 - len(narrow)) + narrow)[i] == 1)
    assert np.allclose(of_b, a.sum(axes, keepdims=True).reshape(narrow) if axes else a)


@pytest.mark.parametrize("operator", ["Max", "Min", "Sum", "Mean"])
@pytest.mark.parametrize("number", [1, 3])
def test_a_function_of_any_number_of_variables_reaches_each(operator: str, number: int) -> None:
    check_one(
        operator,
        {
            f"x{i}": normal(*shape, seed=i)
            for i, shape in enumerate([(2, 3), (3,), (2, 1)][:number])
        },
    )


def test_a_whole_number_may_be_the_exponent_of_any_base() -> None:
    check_one("Pow", {"a": normal(3, 4), "b": np.array(3, np.int64)}, curved=["a"])


def test_the_square_has_slope_zero_at_zero() -> None:
    assert slope("Pow", {"a": np.zeros(3), "b": np.array(2, np.int64)}, "a").tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "exponent", [np.array(0, np.int64), np.array([0, 1, 2], np.int64), np.array([0.0, 1.0, 2.0])]
)
def test_the_power_zero_is_flat_at_zero_too(exponent: Array) -> None:
    grad = slope("Pow", {"a": np.zeros(3), "b": exponent}, "a")
    assert grad.tolist() == ([0, 0, 0] if exponent.ndim == 0 else [0, 1, 0])


@pytest.mark.parametrize("shape", [(3, 1), (1,), (2, 3, 4)])
def test_the_slope_of_prelu_is_learned(shape: tuple[int, ...]) -> None:
    check_one("PRelu", {"x": normal(2, 3, 4), "slope": normal(*shape, seed=1)})


@pytest.mark.parametrize("bounds", [(-0.5, 0.7), (None, 0.7), (-0.5, None), (None, None)])
def test_clip_hands_back_between_its_bounds(bounds: tuple[float | None, float | None]) -> None:
    inputs = [
        "" if bound is None else name for name, bound in zip(("low", "high"), bounds, strict=True)
    ]
    values = ", ".join(
        f"double {n} = {{{b}}}"
        for n, b in zip(("low", "high"), bounds, strict=True)
        if b is not None
    )
    model = double(
        f"(real[N,4] x) => (real[N,4] y) <{values}> {{ y = Clip(x, {', '.join(inputs)}) }}"
    )
    x = normal(5, 4)
    extended, (name,) = gradient(model, "y", ["x"])
    low, high = (
        (-np.inf if bounds[0] is None else bounds[0]),
        (np.inf if bounds[1] is None else bounds[1]),
    )
    assert (run(extended, [name], {"x": x})[0] == ((x > low) & (x < high))).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_where_hands_back_to_the_side_that_was_chosen(side: str) -> None:
    chosen = np.array([[True], [False]])
    check_one("Where", {"c": chosen, "left": normal(2, 3), "right": normal(3, seed=1)})
    back = slope("Where", {"c": chosen, "left": normal(2, 3), "right": normal(2, 3)}, side)
    assert (back == (chosen if side == "left" else ~chosen)).all()


@pytest.mark.parametrize(
    ("operator", "x", "expected"),
    [
        ("Relu", [-1, -0.0, 0, 1], [0, 0, 0, 1]),
        ("Abs", [-1, 0, 1], [-1, 0, 1]),
        ("LeakyRelu", [0, 1], [0.25, 1]),
        ("HardSwish", [-4, -3, 0, 3, 4], [0, 0, 0.5, 1, 1]),
        ("HardSigmoid", [-3, 3, 0], [0, 0, 0.25]),
    ],
)
def test_in_a_corner_the_slope_is_one_of_its_sides(
    operator: str, x: list[float], expected: list[float]
) -> None:
    attributes = {"LeakyRelu": {"alpha": 0.25}, "HardSigmoid": {"alpha": 0.25, "beta": 0.5}}.get(
        operator, {}
    )
    assert slope(operator, {"x": np.array(x, float)}, "x", **attributes).tolist() == expected


@pytest.mark.parametrize("operator", ["Max", "Min"])
def test_of_equals_the_first_counts(operator: str) -> None:
    x = np.array([1.0, 2.0])
    for names in (("a", "b"), ("a", "b", "c")):
        tensors = dict.fromkeys(names, x)
        slopes = [slope(operator, tensors, name).tolist() for name in names]
        assert slopes == [[1, 1], *([[0, 0]] * (len(names) - 1))]


def test_at_its_bounds_clip_hands_nothing_back() -> None:
    tensors = {"x": np.array([-1.0, 0, 1]), "low": np.array(-1.0), "high": np.array(1.0)}
    assert slope("Clip", tensors, "x").tolist() == [0, 1, 0]


def test_dropout_is_the_identity_unless_it_trains() -> None:
    x = normal(40)
    for training in (False, True):
        model = one(
            "Dropout", {"x": x, "ratio": np.array(0.25), "training": np.array(training)}, seed=3
        )
        extended, (name,) = gradient(model, "y", ["x"])
        y, back = run(extended, ["y", name], {"x": x, "ratio": np.array(0.25)})
        assert np.allclose(back * x, y)
        assert (back == 0).any() == training


def test_a_cast_hands_back_in_the_type_that_came() -> None:
    model = double(
        "(real[3] x) => (real[3] y) { s = Cast<to = 1>(x) t = Mul(s, s) y = Cast<to = 11>(t) }"
    )
    extended, (name,) = gradient(model, "y", ["x"])
    (back,) = run(extended, [name], {"x": np.array([1.0, 2, 3])})
    assert back.tolist() == [2, 4, 6]
    assert back.dtype == np.float64


def test_what_became_whole_numbers_hands_nothing_back() -> None:
    model = double(
        "(real[3] x) => (real[3] y) { s = Cast<to = 7>(x) t = Cast<to = 11>(s) y = Add(t, x) }"
    )
    extended, (name,) = gradient(model, "y", ["x"])
    assert run(extended, [name], {"x": np.array([1.5, 2, 3])})[0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("operator", sorted({*UNARY, *BINARY} - {"Max", "Min", "Pow", "Where"}))
def test_where_is_written_by_no_rule_that_training_needs(operator: str) -> None:
    number = 2 if operator in BINARY else 1
    tensors = {f"x{i}": normal(2, 3, seed=i) for i in range(number)}
    extended, _ = gradient(
        one(operator, tensors, opset=OPSETS.get(operator, 20)), "y", list(tensors)
    )
    assert "Where" not in {node.op_type for node in extended.graph.node}


def slope(operator: str, tensors: Mapping[str, Any], wrt: str, **attributes: Any) -> Array:
    """The gradient of the sum of y."""
    extended, (name,) = gradient(one(operator, tensors, **attributes), "y", [wrt])
    fed = {key: value for key, value in tensors.items() if value.dtype.kind == "f"}
    return run(extended, [name], fed)[0]
