"""Rules of the operators that slide a kernel: convolution, pool, transposed convolution."""

from collections.abc import Mapping

from anatomy.fields.axis_maps import Scatter, Taps
from anatomy.fields.rules.base import (
    WHOLE_AXIS,
    AxisDependencies,
    AxisDependency,
    RuleNotApplicable,
    shape_of,
)
from anatomy.graphs.graph import Dim, Graph, GraphError, Node


def weight_position(node: Node) -> int:
    """Where a convolution has its kernels among its inputs."""
    return 3 if node.operator == "QLinearConv" else 1


def window_geometry(
    node: Node, graph: Graph
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel shape, strides and dilations of a convolution or pool, one entry a spatial axis.

    Raises GraphError where the node's attributes have another number of entries, or no possible
    ones.
    """
    rank = len(shape_of(graph, node.inputs[0])) - 2
    _check_axes(node, rank)
    kernel = node.attributes.get("kernel_shape")
    if kernel is None:
        weight = shape_of(graph, node.inputs[weight_position(node)])
        if not all(isinstance(size, int) for size in weight[2:]):
            raise RuleNotApplicable(f"the kernel of '{node.name}' has an unknown size")
        kernel = tuple(size for size in weight[2:] if isinstance(size, int))
    ones = (1,) * rank
    strides = tuple(node.attributes.get("strides", ones))
    return tuple(kernel), strides, tuple(node.attributes.get("dilations", ones))


def _check_axes(node: Node, rank: int) -> None:
    if rank < 0:
        raise GraphError(
            f"the input of {node.operator} '{node.name}' has {rank + 2} axes; expected [N, C, …]"
        )
    counts = {"kernel_shape": rank, "strides": rank, "dilations": rank, "pads": 2 * rank}
    for name, count in counts.items():
        values = node.attributes.get(name, (1,) * count)
        is_pads = name == "pads"
        if len(values) != count or (not is_pads and min(values, default=1) < 1):
            shown = ", ".join(map(str, values))
            expected = f"{count} numbers" if is_pads else f"{count} numbers of at least 1"
            raise GraphError(
                f"{name} of {node.operator} '{node.name}' is [{shown}]; expected {expected}"
            )


def pads_of(node: Node, graph: Graph) -> tuple[tuple[int, int] | None, ...]:
    """Padding before and after each spatial axis of a convolution or pool; None where SAME meets an
    unknown size.
    """
    kernel, strides, dilations = window_geometry(node, graph)
    rank, mode = len(kernel), node.attributes.get("auto_pad", "NOTSET")
    if mode in ("NOTSET", ""):
        pads = node.attributes.get("pads", (0,) * 2 * rank)
        return tuple((pads[i], pads[rank + i]) for i in range(rank))
    if mode == "VALID":
        return ((0, 0),) * rank
    sizes = shape_of(graph, node.inputs[0])[2:]
    result: list[tuple[int, int] | None] = []
    for window in zip(sizes, kernel, strides, dilations, strict=True):
        total = _same_total(*window)
        result.append(None if total is None else _halves(total, mode == "SAME_LOWER"))
    return tuple(result)


def _same_total(size: Dim, kernel: int, stride: int, dilation: int) -> int | None:
    """Padding of auto_pad SAME (ONNX operator specification of Conv)."""
    reach = dilation * (kernel - 1) + 1
    if not isinstance(size, int):
        return reach - 1 if stride == 1 or reach == 1 else None
    return max((-(-size // stride) - 1) * stride + reach - size, 0)


def _halves(total: int, larger_first: bool) -> tuple[int, int]:
    small, large = total // 2, total - total // 2
    return (large, small) if larger_first else (small, large)


def _sliding(node: Node, graph: Graph, channels: AxisDependency) -> Mapping[int, AxisDependencies]:
    kernel, strides, dilations = window_geometry(node, graph)
    pads = pads_of(node, graph)
    result = [AxisDependency(0), channels]
    for i, pad in enumerate(pads):
        offset = None if pad is None else -pad[0]
        taps = Taps(strides[i], offset, dilations[i], kernel[i])
        result.append(AxisDependency(2 + i, taps))
    return {0: tuple(result)}


def convolution(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """All channels, counted whole for groups too, and a window of positions."""
    return _sliding(node, graph, WHOLE_AXIS)


def pool(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Its own channel and a window of positions."""
    return _sliding(node, graph, AxisDependency(1))


def transposed_pads(node: Node, graph: Graph) -> tuple[int | None, ...]:
    """What a transposed convolution cuts off before each spatial axis (ONNX operator specification
    of ConvTranspose).
    """
    kernel, strides, dilations = window_geometry(node, graph)
    rank, mode = len(kernel), node.attributes.get("auto_pad", "NOTSET")
    output_shape = node.attributes.get("output_shape")
    if output_shape is None and mode in ("NOTSET", ""):
        return tuple(node.attributes.get("pads", (0,) * 2 * rank)[:rank])
    if output_shape is None and mode == "VALID":
        return (0,) * rank
    extra = node.attributes.get("output_padding", (0,) * rank)
    pads: list[int | None] = []
    for axis, size in enumerate(shape_of(graph, node.inputs[0])[2:]):
        full_less_size = extra[axis] + dilations[axis] * (kernel[axis] - 1) + 1 - strides[axis]
        if output_shape is not None and isinstance(size, int):
            full_less_size += strides[axis] * size - output_shape[axis - len(kernel)]
        elif output_shape is not None:
            pads.append(None)
            continue
        pads.append(_halves(max(full_less_size, 0), mode != "SAME_UPPER")[0])
    return tuple(pads)


def transposed_convolution(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """All channels and the positions whose kernels were laid over this one."""
    kernel, strides, dilations = window_geometry(node, graph)
    result = [AxisDependency(0), WHOLE_AXIS]
    for i, pad in enumerate(transposed_pads(node, graph)):
        scatter = Scatter(strides[i], pad, dilations[i], kernel[i])
        result.append(AxisDependency(2 + i, scatter))
    return {0: tuple(result)}
