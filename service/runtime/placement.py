"""Which nodes of a graph a provider runs: as ONNX Runtime assigned them, before it fuses what it
assigned.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Node(Protocol):
    """A node, as ONNX Runtime tells of it."""

    domain: str
    op_type: str


class Assigned(Protocol):
    """Nodes that one provider runs, as ONNX Runtime tells of them."""

    ep_name: str

    def get_nodes(self) -> Sequence[Node]: ...


@dataclass(frozen=True)
class Placement:
    """How many nodes each provider runs, and the operators of those that the wanted one does not."""

    nodes: Mapping[str, int]
    fallback_operators: tuple[str, ...]

    @classmethod
    def from_runtime(cls, assigned: Sequence[Assigned], wanted: str) -> "Placement":
        """From what the runtime tells; operators of other domains than ONNX's are named with
        theirs.
        """
        nodes: Counter[str] = Counter()
        fallback_operators = set[str]()
        for each in assigned:
            found = each.get_nodes()
            nodes[each.ep_name] += len(found)
            if each.ep_name != wanted:
                fallback_operators |= {
                    f"{node.domain}.{node.op_type}".removeprefix(".").removeprefix("ai.onnx.")
                    for node in found
                }
        return cls(
            {wanted: nodes.pop(wanted, 0), **dict(sorted(nodes.items()))},
            tuple(sorted(fallback_operators)),
        )
