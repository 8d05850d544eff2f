"""Published receptive fields.

Networks and numbers from Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural
Networks", Distill 2019, and from the tests of its companion library.
"""

import pytest

from tests.anatomy.networks import Network, network, parse


def chain(size: int | str, *steps: tuple[str, str, int, int, str]) -> Network:
    """A 1-channel chain over a square input from (name, operator, kernel, stride, padding)."""
    lines, weights, tensor = [], [], "x"
    for name, operator, kernel, stride, padding in steps:
        pads = (
            f'auto_pad="{padding}"'
            if padding in ("SAME_UPPER", "VALID")
            else f"pads=[{','.join([padding] * 4)}]"
        )
        operands = tensor if operator == "MaxPool" else f"{tensor}, w_{name}"
        if operator == "Conv":
            weights.append(f"float[1,1,{kernel},{kernel}] w_{name}")
        geometry = f"kernel_shape=[{kernel},{kernel}], strides=[{stride},{stride}], {pads}"
        lines.append(f"[{name}] {name} = {operator}<{geometry}>({operands})")
        tensor = name
    body = "\n".join(lines)
    return network(
        f"(float[1,1,{size},{size}] x) => (float[1,1,A,B] {tensor}) <{', '.join(weights)}> "
        f"{{ {body} }}"
    )


ALEXNET = chain(
    224,
    ("conv1", "Conv", 11, 4, "VALID"),
    ("pool1", "MaxPool", 3, 2, "VALID"),
    ("conv2", "Conv", 5, 1, "SAME_UPPER"),
    ("pool2", "MaxPool", 3, 2, "VALID"),
    ("conv3", "Conv", 3, 1, "SAME_UPPER"),
    ("conv4", "Conv", 3, 1, "SAME_UPPER"),
    ("conv5", "Conv", 3, 1, "SAME_UPPER"),
    ("pool5", "MaxPool", 3, 2, "VALID"),
)
VGG16 = chain(
    224,
    *(
        step
        for block, convolutions in enumerate((2, 2, 3, 3, 3), start=1)
        for step in (
            *((f"conv{block}_{i}", "Conv", 3, 1, "1") for i in range(1, convolutions + 1)),
            (f"pool{block}", "MaxPool", 2, 2, "VALID"),
        )
    ),
)
LENET5 = chain(
    32,
    ("c1", "Conv", 5, 1, "0"),
    ("s2", "MaxPool", 2, 2, "0"),
    ("c3", "Conv", 5, 1, "0"),
    ("s4", "MaxPool", 2, 2, "0"),
    ("c5", "Conv", 5, 1, "0"),
)


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        ("conv1", (11, 4, 0)),
        ("pool1", (19, 8, 0)),
        ("conv2", (51, 8, 16)),
        ("conv3", (99, 16, 32)),
        ("conv4", (131, 16, 48)),
        ("conv5", (163, 16, 64)),
        ("pool5", (195, 32, 64)),
    ],
)
def test_alexnet_v2(layer: str, field: tuple[int, int, int]) -> None:
    assert ALEXNET.rsp(layer) == (field, field)


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        ("conv1_1", (3, 1, 1)),
        ("pool1", (6, 2, 2)),
        ("conv2_1", (10, 2, 4)),
        ("pool2", (16, 4, 6)),
        ("conv3_1", (24, 4, 10)),
        ("conv3_2", (32, 4, 14)),
        ("pool3", (44, 8, 18)),
        ("conv4_1", (60, 8, 26)),
        ("conv4_2", (76, 8, 34)),
        ("pool4", (100, 16, 42)),
        ("conv5_1", (132, 16, 58)),
        ("conv5_2", (164, 16, 74)),
        ("pool5", (212, 32, 90)),
    ],
)
def test_vgg16(layer: str, field: tuple[int, int, int]) -> None:
    assert VGG16.rsp(layer) == (field, field)


@pytest.mark.parametrize(
    ("layer", "size", "stride"),
    [("c1", 5, 1), ("s2", 6, 2), ("c3", 14, 2), ("s4", 16, 4), ("c5", 32, 4)],
)
def test_lenet5(layer: str, size: int, stride: int) -> None:
    assert LENET5.rsp(layer) == ((size, stride, 0), (size, stride, 0))


WEIGHTS = "float[1,1,1,1] a, float[1,1,3,3] b, float[1,1,1,1] c, float[1,1,1,1] d, float[1,1,3,3] e"
PAD = "int64[8] before = {0,0,1,1,0,0,0,0}"


def net1(size: int | str, branch: str, tail: str = "", output: str = "sum") -> Network:
    """Conv 1x1 s4, added to: `branch` into `right`, then conv 1x1 s2."""
    return network(
        f"""(float[1,1,{size},{size}] x) => (float[1,1,A,B] {output}) <{WEIGHTS}, {PAD}> {{
            left = Conv<strides=[4,4]>(x, a)
            {branch}
            narrow = Conv<strides=[2,2]>(right, c)
            [sum] sum = Add(left, narrow)
            {tail} }}"""
    )


PADDED = "padded = Pad(x, before) right = Conv<strides=[2,2]>(padded, b)"
POOLED = "padded = Pad(x, before) right = MaxPool<kernel_shape=[3,3], strides=[2,2]>(padded)"
SAME = 'right = Conv<strides=[2,2], auto_pad="SAME_UPPER">(x, b)'


@pytest.mark.parametrize("branch", [PADDED, POOLED])
def test_aligned_branches_of_nets_1_and_2(branch: str) -> None:
    assert net1(8, branch).rsp("sum") == ((3, 4, 1), (3, 4, 1))


def test_net_4_same_padding_on_an_odd_input_is_aligned() -> None:
    assert net1(9, SAME).rsp("sum") == ((3, 4, 1), (3, 4, 1))


def test_net_4_same_padding_on_an_even_input_is_not_aligned() -> None:
    net = net1(8, SAME)
    field = net.fields.layer(net.layer("sum"))
    assert (field.status, field.size, field.stride, field.padding) == ("exact", None, None, None)
    assert "different centres" in str(field.reason)


def test_net_4_with_an_unknown_size_has_an_unknown_padding() -> None:
    net = net1("S", SAME)
    field = net.fields.layer(net.layer("sum"))
    assert (field.size, field.stride, field.padding) == ((3, 3), (4, 4), None)
    assert "SAME" in str(field.reason)


def test_net_5_axes_differ() -> None:
    net = network(
        """(float[1,1,32,32] x) => (float[1,1,A,B] v) <float[1,1,3,5] a, float[1,1,3,1] b> {
            u = Conv<strides=[2,2]>(x, a)
            [v] v = Conv<strides=[2,2]>(u, b) }"""
    )
    assert net.rsp("v") == ((7, 4, 0), (5, 4, 0))


def test_net_8_branch_after_branch() -> None:
    tail = """r = Relu(sum)
        up = Conv<strides=[2,2]>(r, d)
        q = Pad(r, before)
        down = Conv<strides=[2,2]>(q, e)
        [last] last = Add(up, down)"""
    assert net1(16, PADDED, tail, "last").rsp("last") == ((11, 8, 5), (11, 8, 5))


def test_net_9_the_same_with_same_padding_everywhere() -> None:
    tail = """r = Relu(sum)
        up = Conv<strides=[2,2], auto_pad="SAME_UPPER">(r, d)
        down = Conv<strides=[2,2], auto_pad="SAME_UPPER">(r, e)
        [last] last = Add(up, down)"""
    assert net1(17, SAME, tail, "last").rsp("last") == ((11, 8, 5), (11, 8, 5))


def test_branches_of_unequal_strides_have_no_single_field_and_an_exact_one_per_unit() -> None:
    net = network(
        """(float[1,1,8] x) => (float[1,1,4] sum)
            <float[1,1,5] a, float[1,1,3] b, float[1,1,3] c, int64[6] p = {0,0,2,0,0,1}> {
            padded = Pad(x, p)
            left = Conv<strides=[2]>(padded, a)
            inner = Conv(x, b)
            right = Conv(inner, c)
            [sum] sum = Add(left, right) }"""
    )
    layer = net.layer("sum")
    assert net.fields.layer(layer).size is None
    units = net.fields.units(layer, [(i,) for i in range(4)])
    assert [unit.interval for unit in units] == [((-2, 5),), ((0, 6),), ((2, 7),), ((3, 9),)]
    assert [unit.clipped for unit in units] == [((0, 5),), ((0, 6),), ((2, 7),), ((3, 8),)]


def test_transposed_convolution_alternates_between_one_and_two_inputs() -> None:
    net = network(
        """(float[1,1,5] x) => (float[1,1,N] y) <float[1,1,3] w> {
            [y] y = ConvTranspose<strides=[2], pads=[1,1]>(x, w) }"""
    )
    units = net.fields.units(net.layer("y"), [(i,) for i in range(4)])
    assert [unit.interval for unit in units] == [((0, 1),), ((0, 2),), ((1, 2),), ((1, 3),)]
    field = net.fields.layer(net.layer("y"))
    assert (field.size, field.stride) == (None, (0.5,))


def test_an_unknown_operator_widens_the_field_to_the_whole_input_and_is_named() -> None:
    model = parse(
        "(float[1,1,8,8] x) => (float[1,1,8,8] y) <float[1,1,3,3] w> { f = Relu(x) [y] y = "
        "Conv<pads=[1,1,1,1]>(f, w) }"
    )
    model.graph.node[0].op_type, model.graph.node[0].domain = "Mystery", "org.example"
    model.opset_import.add(domain="org.example", version=1)
    net = Network(model)
    field = net.fields.layer(net.layer("y"))
    assert (field.status, field.operator) == ("upper_bound", "Mystery")
    assert net.fields.units(net.layer("y"), [(4, 4)])[0].clipped == ((0, 8), (0, 8))
