"""Which nodes run where, as ONNX Runtime tells it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from service.runtime.engine import Engine
from service.runtime.placement import CPU, CUDA, Placement
from service.runtime.session import Session
from tests.service.networks import DECODER, SIGNALS, SOLIDS, VOLUMES, parsed


@dataclass
class Node:
    op_type: str
    domain: str = ""


@dataclass
class Subgraph:
    ep_name: str
    nodes: Sequence[Node]

    def get_nodes(self) -> Sequence[Node]:
        return self.nodes


def test_nodes_are_counted_by_provider_and_those_that_fell_back_are_named_once() -> None:
    subgraphs = [
        Subgraph(CPU, [Node("Shape"), Node("NonZero", "ai.onnx")]),
        Subgraph(CUDA, [Node("Conv"), Node("Relu")]),
        Subgraph(CPU, [Node("Shape"), Node("Mystery", "org.example")]),
        Subgraph(CUDA, [Node("Gemm")]),
    ]
    placement = Placement.from_runtime(subgraphs, CUDA)
    assert list(placement.nodes.items()) == [(CUDA, 3), (CPU, 4)]
    assert placement.fallback_operators == ("NonZero", "Shape", "org.example.Mystery")


def test_a_provider_that_got_no_node_is_told_with_none() -> None:
    assert Placement.from_runtime([Subgraph(CPU, [Node("Conv")])], CUDA) == Placement(
        {CUDA: 0, CPU: 1}, ("Conv",)
    )


@pytest.mark.parametrize(
    "text", [SIGNALS, VOLUMES, DECODER, SOLIDS], ids=["signals", "volumes", "decoder", "solids"]
)
def test_on_the_cpu_every_node_of_a_graph_without_constants_to_fold_runs_there(text: str) -> None:
    model = parsed(text)
    placement = Engine("cpu", 1).load(model).placement
    assert placement == Placement({CPU: len(model.graph.node)}, ())


def test_a_runtime_too_old_to_tell_is_no_failure() -> None:
    class Old:
        def get_inputs(self) -> list[str]:
            return []

        get_outputs = get_inputs

        def get_providers(self) -> list[str]:
            return [CPU]

        def get_provider_options(self) -> dict[str, dict[str, str]]:
            return {CPU: {}}

    assert Session(Old(), None, None).placement is None  # type: ignore[arg-type]
