"""Gradients of operators that move, repeat or drop values."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from anatomy.fields.resize import resize_weights
from anatomy.gradients.gradient import gradient
from anatomy.gradients.rules.base import UnknownGradientError
from tests.anatomy.gradients.gradients import BOUNDED, check, check_one, double, normal, one, run

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@BOUNDED
@given(shape=shapes, data=st.data())
def test_each_input_of_concat_takes_its_part(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    parts = {}
    for i in range(data.draw(st.integers(1, 3))):
        size = list(shape)
        size[axis] = data.draw(st.integers(1, 3))
        parts[f"x{i}"] = normal(*size, seed=i)
    check_one("Concat", parts, axis=axis)


@BOUNDED
@given(shape=shapes, data=st.data())
def test_every_output_of_split_hands_back(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    assume(shape[axis] > 1)
    first = data.draw(st.integers(1, shape[axis] - 1))
    model = one(
        "Split",
        {"x": normal(*shape), "s": ints(first, shape[axis] - first)},
        outputs=("y", "z"),
        axis=axis,
    )
    for of in ("y", "z"):
        check(model, {"x": normal(*shape)}, of, ["x"])


def test_several_outputs_of_split_that_are_read_are_joined() -> None:
    model = double(
        "(real[N,6] x) => (real[N,4] y) { a, b, c = Split<axis=1, num_outputs=3>(x) y = "
        "Concat<axis=1>(c, a) }"
    )
    check(model, {"x": normal(2, 6)}, "y", ["x"])


@BOUNDED
@given(shape=shapes, data=st.data())
def test_a_slice_goes_back_to_its_places_for_every_step(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    steps = [data.draw(st.sampled_from([-3, -2, -1, 1, 2, 3])) for _ in axes]
    starts = [data.draw(st.integers(-shape[axis], shape[axis] - 1)) for axis in axes]
    ends = [data.draw(st.integers(-shape[axis] - 3, shape[axis] + 3)) for axis in axes]
    x = normal(*shape)
    ranges = zip(axes, starts, ends, steps, strict=True)
    assume(all(range(shape[axis])[start:end:step] for axis, start, end, step in ranges))
    signed = [axis - data.draw(st.sampled_from([0, len(shape)])) for axis in axes]
    tensors = {"x": x, "s": ints(*starts), "e": ints(*ends), "a": ints(*signed), "t": ints(*steps)}
    check_one("Slice", tensors)


def test_a_slice_of_nothing_hands_back_zeros() -> None:
    model = one("Slice", {"x": normal(3, 4), "s": ints(2), "e": ints(2), "a": ints(1)})
    extended, (name,) = gradient(model, "y", ["x"])
    assert (run(extended, [name], {"x": normal(3, 4)})[0] == np.zeros((3, 4))).all()


@pytest.mark.parametrize("opset", [13, 20])
def test_a_slice_at_computed_places_goes_back_to_them(opset: int) -> None:
    model = double(
        "(real[N,5] x, int64[1] s) => (real[K,5] y) <int64[1] end = {9}> { y = Slice(x, s, end) }",
        opset,
    )
    extended, (name,) = gradient(model, "y", ["x"])
    feeds: dict[str, Any] = {"x": normal(4, 5), "s": ints(1)}
    assert (run(extended, [name], feeds)[0] == (np.arange(4) >= 1)[:, None]).all()


@BOUNDED
@given(shape=shapes, mode=st.sampled_from(["constant", "edge", "reflect", "wrap"]), data=st.data())
def test_padding_falls_off_or_goes_back_to_what_it_repeats(
    shape: tuple[int, ...], mode: str, data: st.DataObject
) -> None:
    least = 1 if mode == "reflect" else 0
    most = {axis: 3 if mode == "constant" else shape[axis] - least for axis in range(len(shape))}
    pads = [
        data.draw(st.integers(0, most[axis])) if axis else 0
        for _ in "ab"
        for axis in range(len(shape))
    ]
    check_one("Pad", {"x": normal(*shape), "p": ints(*pads)}, mode=mode)


def test_padding_along_some_axes_only() -> None:
    tensors = {"x": normal(2, 3, 4), "p": ints(1, 0, 2, 1), "value": None, "axes": ints(-1, 1)}
    for mode in ("constant", "reflect"):
        check_one("Pad", tensors, mode=mode)


def test_the_value_of_padding_takes_all_that_is_outside() -> None:
    check_one("Pad", {"x": normal(2, 3), "p": ints(0, 2, 1, 0), "value": np.array(0.3)})


@pytest.mark.parametrize("pads", [(0, -1, 0, 2), (0, -1, 0, -1), (0, 2, 0, -1)])
def test_what_negative_padding_crops_gets_zeros(pads: tuple[int, ...]) -> None:
    """In ONNX Runtime: the reference evaluator knows no negative padding."""
    x = normal(2, 5).astype(np.float32)
    for constant in (True, False):
        tensors = "int64[4] p" if not constant else ""
        stored = f"<int64[4] p = {{{', '.join(map(str, pads))}}}>" if constant else ""
        model = double(
            f"(float[N,5] x{',' + tensors if tensors else ''}) => (float[N,K] y) {stored} "
            f"{{ y = Pad(x, p) }}"
        )
        extended, (name,) = gradient(model, "y", ["x"])
        session = onnxruntime.InferenceSession(
            extended.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        (back,) = session.run([name], {"x": x, **({} if constant else {"p": ints(*pads)})})
        kept = [max(0, -pads[1]) <= i < 5 - max(0, -pads[3]) for i in range(5)]
        assert back.tolist() == [[float(here) for here in kept]] * 2


@pytest.mark.parametrize(
    ("operator", "tensors", "attributes"),
    [
        ("Reshape", {"x": normal(2, 3, 4), "s": ints(0, -1)}, {}),
        ("Flatten", {"x": normal(2, 3, 4)}, {"axis": 2}),
        ("Flatten", {"x": normal(2, 3, 4)}, {}),
        ("Squeeze", {"x": normal(2, 1, 4), "a": ints(1)}, {}),
        ("Unsqueeze", {"x": normal(2, 4), "a": ints(-1, 1)}, {}),
        ("Transpose", {"x": normal(2, 3, 4)}, {"perm": [2, 0, 1]}),
        ("Transpose", {"x": normal(2, 3, 4)}, {}),
        ("Expand", {"x": normal(3, 1), "s": ints(2, 1, 4)}, {}),
        ("Expand", {"x": normal(1), "s": ints(2, 3)}, {}),
        ("Tile", {"x": normal(2, 3), "times": ints(2, 3)}, {}),
        ("Tile", {"x": normal(2, 3, 1), "times": ints(1, 1, 4)}, {}),
        ("SpaceToDepth", {"x": normal(2, 3, 4, 6)}, {"blocksize": 2}),
        ("DepthToSpace", {"x": normal(2, 18, 2, 3)}, {"blocksize": 3}),
        ("DepthToSpace", {"x": normal(2, 18, 2, 3)}, {"blocksize": 3, "mode": "CRD"}),
    ],
)
def test_a_new_shape_is_turned_back(
    operator: str, tensors: dict[str, Any], attributes: dict[str, Any]
) -> None:
    check_one(operator, tensors, **attributes)


@BOUNDED
@given(shape=shapes, data=st.data())
def test_what_was_gathered_is_added_up_where_it_lay(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    picks = data.draw(st.lists(st.integers(-shape[axis], shape[axis] - 1), min_size=1, max_size=6))
    indices = ints(*picks).reshape(
        data.draw(st.sampled_from([(-1,), (1, -1)])) if len(picks) > 1 else ()
    )
    check_one("Gather", {"x": normal(*shape), "i": indices}, axis=axis)


def test_computed_places_may_be_gathered() -> None:
    model = double(
        "(real[N,5] x) => (real[A,B,C] y) { i = ArgMax<axis=1>(x) y = Gather<axis=1>(x, i) }"
    )
    check(model, {"x": normal(3, 5)}, "y", ["x"])


def test_elements_and_slices_that_were_gathered_go_back() -> None:
    x, picks = normal(3, 4), np.array([[0, -1], [2, 2], [1, 0]])
    check_one("GatherElements", {"x": x, "i": picks}, axis=1)
    check_one("GatherND", {"x": x, "i": np.array([[0], [2], [0]])})


@pytest.mark.parametrize("reduction", ["none", "add"])
def test_scattered_updates_and_the_data_behind_them_have_gradients(reduction: str) -> None:
    tensors = {
        "x": normal(3, 4),
        "i": np.array([[1, 0, 2, 1], [0, 2, 1, 2]]),
        "u": normal(2, 4, seed=1),
    }
    check_one("ScatterElements", tensors, axis=0, reduction=reduction)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize(
    "position", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
)
@BOUNDED
@given(sizes=st.lists(st.tuples(st.integers(2, 5), st.integers(1, 9)), min_size=1, max_size=3))
def test_interpolation_hands_back_by_its_weights(
    mode: str, position: str, sizes: list[tuple[int, int]]
) -> None:
    assume(mode != "cubic" or len(sizes) < 3)
    # Here the reference evaluator departs from the specification, which says 0 for the position of
    # a single unit.
    assume(
        position != "pytorch_half_pixel" or mode == "linear" or all(after > 1 for _, after in sizes)
    )
    x = normal(2, 2, *(before for before, _ in sizes))
    target = ints(2, 2, *(after for _, after in sizes))
    tensors = {"x": x, "roi": None, "scales": None, "sizes": target}
    model = one("Resize", tensors, mode=mode, coordinate_transformation_mode=position)
    check(model, {"x": x}, "y", ["x"])


@pytest.mark.parametrize("rounding", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
def test_the_nearest_is_found_as_it_is_rounded(rounding: str) -> None:
    how = f'mode = "nearest", nearest_mode = "{rounding}"'
    text = (
        "(real[N,2,4,5] x) => (real[N,2,A,B] y) <float[4] s = {1, 1, 2.5, 0.5}> "
        f"{{ y = Resize<{how}>(x, , s) }}"
    )
    check(double(text), {"x": normal(3, 2, 4, 5)}, "y", ["x"])


def test_only_the_axes_that_are_named_are_resized() -> None:
    tensors = {"x": normal(2, 3, 4), "roi": None, "scales": None, "sizes": ints(7)}
    check_one("Resize", tensors, axes=[2], mode="linear")


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_weights_of_interpolation_sum_to_one(mode: str) -> None:
    for before, after in ((3, 7), (7, 3), (5, 5), (1, 4)):
        weights = resize_weights("Resize", {"mode": mode}, before, after, None)
        assert weights is not None
        assert np.allclose(weights.sum(1), 1)


def test_every_size_may_be_open_where_the_places_are_constant() -> None:
    x = normal(2, 3, 4, 5)
    for text in (
        "DepthToSpace<blocksize=1>(x)",
        "Transpose<perm=[0, 2, 3, 1]>(x)",
        "Flatten(x)",
        "Tile(x, times)",
    ):
        model = double(
            f"(real[A,B,C,D] x) => (real[] y) <int64[4] times = {{1, 2, 1, 3}}> {{ y = {text} }}"
        )
        check(model, {"x": x}, "y", ["x"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('Pad<mode = "edge">(x, p)', "Pad 'y' needs the sizes of 'x'"),
        ("Resize(x, , , s)", "Resize 'y' needs the sizes of 'x'"),
        ('Resize<coordinate_transformation_mode = "tf_crop_and_resize">(x, , , s)', "Resize 'y'"),
    ],
)
def test_an_open_size_that_is_needed_is_named(text: str, message: str) -> None:
    stored = "<int64[4] p = {0, 1, 0, 1}, int64[2] s = {2, 8}>"
    model = double(f"(real[N,W] x) => (real[A,B] y) {stored} {{ y = {text} }}")
    with pytest.raises(UnknownGradientError, match=message):
        gradient(model, "y", ["x"])
