"""Vector-Jacobian products: a table `operator -> rule`, each rule a few lines that write ordinary
ONNX operators.
"""

from collections.abc import Mapping

from anatomy.gradients.rules import (
    elementwise,
    indexing,
    matrix_products,
    normalisation,
    reductions,
    resampling,
    shape_ops,
    sliding_window,
)
from anatomy.gradients.rules.base import Rule

VJPS: Mapping[str, Rule] = {
    **elementwise.UNARY,
    **elementwise.BINARY,
    **elementwise.OTHERS,
    **indexing.INDEXING,
    **matrix_products.MATRIX_PRODUCTS,
    **normalisation.NORMALISATION,
    **reductions.REDUCTIONS,
    **resampling.RESAMPLING,
    **shape_ops.SHAPE_OPS,
    **sliding_window.SLIDING_WINDOW,
}
