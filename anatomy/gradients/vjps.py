"""Vector-Jacobian products: a table `operator -> rule`, each rule a few lines that write ordinary
ONNX operators.
"""

from collections.abc import Mapping

from anatomy.gradients.rules import elementwise, mixing, normalising, placing, sliding
from anatomy.gradients.rules.base import Rule

VJPS: Mapping[str, Rule] = {
    **elementwise.UNARY,
    **elementwise.BINARY,
    **elementwise.OTHERS,
    **mixing.MIXING,
    **normalising.NORMALISING,
    **placing.PLACING,
    "AveragePool": sliding.average_pool,
    "Conv": sliding.convolution,
    "ConvTranspose": sliding.transposed_convolution,
    "MaxPool": sliding.max_pool,
}
