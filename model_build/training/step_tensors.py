"""Names of the tensors that a step's graph reads and writes beside those of the network.

No module path holds a colon, so none of these meets a tensor of the network.
"""

PREFIX = "step:"

LABELS = f"{PREFIX}labels"
LEARNING_RATE = f"{PREFIX}learning_rate"
STEP_NUMBER = f"{PREFIX}number"

WEIGHTS = f"{PREFIX}weights"
STATISTICS = f"{PREFIX}statistics"
AVERAGES = f"{PREFIX}averages"

LOSS = f"{PREFIX}loss"
CORRECT = f"{PREFIX}correct"
GRADIENT_NORM = f"{PREFIX}gradient_norm"


def slot(name: str) -> str:
    """The vector of the state that an optimiser keeps under this name."""
    return f"{PREFIX}{name}"


def new(name: str) -> str:
    """The output that a vector of the state has after the step."""
    return f"{name}.new"
