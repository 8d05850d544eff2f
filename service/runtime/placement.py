"""Where the nodes of a graph run: the provider that ONNX Runtime assigned each, before fusing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"


class Node(Protocol):
    """A node, as ONNX Runtime describes it."""

    domain: str
    op_type: str


class Subgraph(Protocol):
    """Nodes that one provider runs, as ONNX Runtime describes them."""

    ep_name: str

    def get_nodes(self) -> Sequence[Node]: ...


@dataclass(frozen=True)
class Placement:
    """How many nodes each provider runs, and the operators that fell back from the chosen one."""

    nodes: Mapping[str, int]
    fallback_operators: tuple[str, ...]

    @classmethod
    def from_runtime(cls, subgraphs: Sequence[Subgraph], provider: str) -> "Placement":
        """The placement that the runtime reports for a session on `provider`.

        An operator of another domain than ONNX's is named with its domain.
        """
        counts: Counter[str] = Counter()
        fallback_operators = set[str]()
        for subgraph in subgraphs:
            nodes = subgraph.get_nodes()
            counts[subgraph.ep_name] += len(nodes)
            if subgraph.ep_name != provider:
                fallback_operators.update(map(_operator, nodes))
        on_provider = counts.pop(provider, 0)
        return cls(
            {provider: on_provider, **dict(sorted(counts.items()))},
            tuple(sorted(fallback_operators)),
        )


def _operator(node: Node) -> str:
    return f"{node.domain}.{node.op_type}".removeprefix(".").removeprefix("ai.onnx.")
