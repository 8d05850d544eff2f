"""The network itself says what a unit sees: noise elsewhere leaves it bit-identical, a change at a
face changes it.
"""

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.anatomy.networks import Network, Oracle
from tests.anatomy.random_networks import networks

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


def shaken(base: np.ndarray, keep: tuple[slice, ...], random: np.random.Generator) -> np.ndarray:
    """Noise everywhere but in the box."""
    noisy = random.integers(-50, 50, base.shape).astype(np.float32)
    noisy[keep] = base[keep]
    return noisy


@pytest.mark.parametrize("rank", [1, 2, 3])
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW, derandomize=True)
@given(data=st.data())
def test_field_of_a_unit_is_exactly_what_changes_it(rank: int, data: st.DataObject) -> None:
    model: onnx.ModelProto = data.draw(networks(rank))
    net, oracle = Network(model), Oracle(model)
    layer = net.layers[-1]
    assert net.fields.layer(layer).status == "exact"
    unit = tuple(data.draw(st.integers(0, (size or 1) - 1)) for size in layer.output_shape[1:])
    (field,) = net.fields.units(layer, [unit])
    random = np.random.default_rng(0)
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    base = random.integers(1, 9, shape).astype(np.float32)
    value = oracle.run(base)[0, 0][unit]
    box = (slice(None), slice(None), *(slice(*interval) for interval in field.clipped))
    assert oracle.run(shaken(base, box, random))[0, 0][unit] == value
    for axis, (first, stop) in enumerate(field.clipped):
        for index in {first, stop - 1} if stop > first else ():
            face = [*box]
            face[2 + axis] = slice(index, index + 1)
            changed = base.copy()
            changed[tuple(face)] += 1000
            assert oracle.run(changed)[0, 0][unit] != value, (axis, index, field)


@pytest.mark.parametrize("rank", [1, 2])
@settings(max_examples=40, deadline=None, suppress_health_check=SLOW, derandomize=True)
@given(data=st.data())
def test_projective_field_holds_exactly_the_units_that_a_pixel_changes(
    rank: int, data: st.DataObject
) -> None:
    model: onnx.ModelProto = data.draw(networks(rank))
    net, oracle = Network(model), Oracle(model)
    layer = net.layers[-1]
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    pixel = tuple(data.draw(st.integers(0, size - 1)) for size in shape[2:])
    intervals = net.fields.projective(layer, pixel)
    base = np.random.default_rng(0).integers(1, 9, shape).astype(np.float32)
    changed = base.copy()
    changed[(0, 0, *pixel)] += 1000
    moved = (oracle.run(base) != oracle.run(changed))[0, 0]
    hulls = []
    for axis in range(rank):
        indices = np.flatnonzero(
            moved.any(axis=tuple(other for other in range(rank) if other != axis))
        )
        hulls.append((int(indices[0]), int(indices[-1]) + 1) if len(indices) else (0, 0))
    assert intervals == tuple(hulls)
