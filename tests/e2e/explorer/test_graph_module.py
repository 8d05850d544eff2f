"""Where cards and lines of a network lie: facts that hold for any graph, and the shapes that
networks have.
"""

import random
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.e2e.explorer.browser import in_module

GAP, BETWEEN = 30, 18
SIZES = [[150, 248], [100, 135]]
LAID = """async (graph, {networks, sizes, space}) => {
  const folder = new URL("explorer/views/layer_list/", document.baseURI);
  const {lay} = await import(new URL("wiring.js", folder));
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const along = (d) => {
    path.setAttribute("d", d);
    const length = path.getTotalLength();
    const steps = [...Array(Math.ceil(length / 4) + 1).keys()];
    return steps.map((step) => path.getPointAtLength(step * 4)).map(({x, y}) => [x, y]);
  };
  return networks.map((inputs, place) => {
    const arrangement = graph.arrange(inputs);
    const cards = sizes[place].map(([width, height]) => ({width, height}));
    const {paths, ...rest} = lay(arrangement, cards, space);
    return {...arrangement, ...rest, lines: paths.map(along)};
  });
}"""

Inputs = list[list[int]]


def random_networks() -> Iterator[Inputs]:
    draw = random.Random(7)
    for _ in range(40):
        reach = draw.choice([2, 4, 30])
        yield [
            draw.sample(
                range(max(0, node - reach), node), min(node, reach, draw.choice([0, 1, 1, 1, 2, 3]))
            )
            for node in range(draw.randint(1, 24))
        ]


def shaped() -> dict[str, Inputs]:
    return {
        "chain": [[], *([node] for node in range(9))],
        "residual": [[], [0], [1], [0, 2], [3], [4], [3, 5], [6]],
        "projection": [[], [0], [1], [0], [2, 3], [4]],
        "four branches": [[], [0], [0], [2], [0], [4], [5], [0], [7], [1, 3, 6, 8], [9]],
        "encoder and decoder": [[], [0], [1], [2], [2, 3], [1, 4], [0, 5]],
        "densely connected": [[], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]],
        "two roots": [[], [], [0], [1, 2], [3]],
    }


def random_cards() -> list[list[list[int]]]:
    draw = random.Random(11)
    return [[draw.choice(SIZES) for _ in network] for network in NETWORKS]


NETWORKS = [*shaped().values(), *random_networks()]
CARDS = random_cards()


KEPT: list[dict[str, Any]] = []


@pytest.fixture
def laid(module_page: Page) -> list[dict[str, Any]]:
    """What the browser makes of NETWORKS, once for all tests."""
    if not KEPT:
        space = {"gap": GAP, "between": BETWEEN}
        given = {"networks": NETWORKS, "sizes": CARDS, "space": space}
        KEPT.extend(in_module(module_page, "views/layer_list/graph.js", LAID, given))
    return KEPT


def width_of(inputs: Inputs, column: list[int]) -> int:
    """The most that runs side by side: cards of a column, and cards before it that somebody behind
    it reads.
    """
    reached = [
        max((column[to] for to, reads in enumerate(inputs) if node in reads), default=column[node])
        for node in range(len(inputs))
    ]
    return max(
        sum(
            column[node] == each or column[node] < each < reached[node]
            for node in range(len(inputs))
        )
        for each in column
    )


def test_layouts_of_many_graphs(laid: list[dict[str, Any]]) -> None:
    """Every line goes to a later column, no two cards share a cell or a pixel, no more lanes than
    run side by side.
    """
    assert len(laid) == len(NETWORKS)
    for inputs, found, cards in zip(NETWORKS, laid, CARDS, strict=True):
        column, lane = found["column"], found["lane"]
        assert {(each["from"], each["to"]) for each in found["edges"]} == {
            (source, node) for node, reads in enumerate(inputs) for source in reads
        }
        assert all(column[each["from"]] < column[each["to"]] for each in found["edges"])
        assert len(set(zip(column, lane, strict=True))) == len(inputs)
        assert max(lane) < found["lanes"] <= width_of(inputs, column), inputs
        assert [[box["width"], box["height"]] for box in found["boxes"]] == cards
        assert not any(overlap(one, other) for one, other in combinations(found["boxes"], 2))


def overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    across = (
        one["left"] < other["left"] + other["width"] and other["left"] < one["left"] + one["width"]
    )
    return (
        across
        and one["top"] < other["top"] + other["height"]
        and other["top"] < one["top"] + one["height"]
    )


def test_no_line_passes_through_a_card_or_leaves_the_board(laid: list[dict[str, Any]]) -> None:
    for inputs, found in zip(NETWORKS, laid, strict=True):
        for edge, line in zip(found["edges"], found["lines"], strict=True):
            assert all(
                -0.1 <= x <= found["width"] + 0.1 and -0.1 <= y <= found["height"] + 0.1
                for x, y in line
            )
            for node, box in enumerate(found["boxes"]):
                inside = [point for point in line if within(point, box)]
                assert not inside, (inputs, edge, node, inside[:3])


def within(point: list[float], box: dict[str, float], slack: float = 0.5) -> bool:
    """Inside, the rim left out: there lines begin and end."""
    x, y = point[0] - box["left"], point[1] - box["top"]
    return slack < x < box["width"] - slack and slack < y < box["height"] - slack


def test_every_line_leads_from_the_rim_of_one_card_to_that_of_the_other(
    laid: list[dict[str, Any]],
) -> None:
    for found in laid:
        for edge, line in zip(found["edges"], found["lines"], strict=True):
            for end, point in (("from", line[0]), ("to", line[-1])):
                box = found["boxes"][edge[end]]
                assert within(point, grown(box, 2.5), 0), (edge, point, box)


def grown(box: dict[str, float], by: float) -> dict[str, float]:
    return {
        "left": box["left"] - by,
        "top": box["top"] - by,
        "width": box["width"] + 2 * by,
        "height": box["height"] + 2 * by,
    }


def test_lines_side_by_side_never_lie_on_one_track(laid: list[dict[str, Any]]) -> None:
    for found in laid:
        column = found["column"]
        arcs = [each for each in found["edges"] if "gutter" in (each["route"] or {})]
        for one, other in combinations(arcs, 2):
            apart = (
                column[one["to"]] <= column[other["from"]]
                or column[other["to"]] <= column[one["from"]]
            )
            assert one["from"] == other["from"] or apart or one["route"] != other["route"], (
                one,
                other,
            )


@pytest.mark.parametrize(
    ("name", "lanes", "tracks"),
    [
        ("chain", 1, [0, 0]),
        ("residual", 1, [1, 0]),
        ("projection", 2, [0, 0, 0]),
        ("four branches", 4, [0, 0, 0, 0, 0]),
        ("encoder and decoder", 1, [3, 0]),
        ("two roots", 2, [0, 0, 0]),
    ],
)
def test_shapes_that_networks_have(
    laid: list[dict[str, Any]], name: str, lanes: int, tracks: list[int]
) -> None:
    """Branches are lanes; a connection around layers is an arc above them, and nested arcs have a
    track each.
    """
    found = laid[list(shaped()).index(name)]
    assert (found["lanes"], found["tracks"]) == (lanes, tracks)


def test_arrow_keys_follow_the_path_and_change_lanes(module_page: Page) -> None:
    steps = in_module(
        module_page,
        "views/layer_list/graph.js",
        """(graph, {inputs, asked}) => {
          const arrangement = graph.arrange(inputs);
          return asked.map(([node, direction]) => graph.neighbour(arrangement, node, direction));
        }""",
        {
            "inputs": shaped()["four branches"],
            "asked": [
                *(
                    [0, "left"],
                    [0, "right"],
                    [4, "right"],
                    [6, "right"],
                    [8, "right"],
                    [9, "left"],
                    [10, "right"],
                ),
                *([4, "up"], [4, "down"], [9, "up"]),
            ],
        },
    )
    # The longest branch (4, 5, 6) goes on in the lane of what it reads; below it come the others.
    assert steps[:7] == [None, 4, 5, 9, 9, 6, None]
    assert steps[7:] == [None, 1, None]


def test_what_a_layer_comes_from(module_page: Page) -> None:
    function = "(graph, inputs) => [...graph.ancestors(graph.arrange(inputs), 5)].sort()"
    assert in_module(
        module_page, "views/layer_list/graph.js", function, shaped()["four branches"]
    ) == [
        0,
        4,
        5,
    ]
