"""Vector-Jacobian products: a table `operator -> rule`, each rule a few lines that write ordinary
ONNX operators.
"""

from collections.abc import Mapping

from anatomy.gradients.rules import (
    elementwise,
    normalisation,
    reductions,
    shape_ops,
    sliding_window,
)
from anatomy.gradients.rules.base import Rule

VJPS: Mapping[str, Rule] = {
    **elementwise.UNARY,
    **elementwise.BINARY,
    **elementwise.OTHERS,
    **reductions.REDUCTIONS,
    **normalisation.NORMALISATION,
    **shape_ops.SHAPE_OPS,
    "AveragePool": sliding_window.average_pool,
    "Conv": sliding_window.convolution,
    "ConvTranspose": sliding_window.transposed_convolution,
    "MaxPool": sliding_window.max_pool,
}
