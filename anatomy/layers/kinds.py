"""Which operators anchor a layer, and of which kind."""

from collections.abc import Mapping
from typing import Literal

Kind = Literal["convolution", "transposed_convolution", "pool", "dense", "merge"]

KINDS: Mapping[str, Kind] = {
    "Conv": "convolution",
    "ConvInteger": "convolution",
    "QLinearConv": "convolution",
    "ConvTranspose": "transposed_convolution",
    "Gemm": "dense",
    "MatMul": "dense",
    **dict.fromkeys(
        "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool ReduceMean ReduceMax".split(),
        "pool",
    ),
    **dict.fromkeys(("Add", "Mul", "Concat"), "merge"),
}
BIASES: Mapping[str, int] = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "QLinearConv": 8}
"""Which input is the bias."""
