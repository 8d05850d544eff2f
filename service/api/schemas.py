"""The bodies of answers, as pydantic models: what /openapi.json says, and what the tests hold the
answers to.

Intervals are half-open [start, stop), one for each spatial axis in the order of the axes. What is
not finite is null.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Number = float | None
Scalar = int | float | str | None
Interval = tuple[int, int]


class Body(BaseModel):
    """An answer: it has these fields and no others."""

    model_config = ConfigDict(extra="forbid")


class Scored(Body):
    """A class and its probability."""

    index: int
    label: str | None = Field(description="null where the model card has no labels")
    probability: Number = Field(description="what the network computed")


class Timings(Body):
    """Milliseconds."""

    decode: float = Field(description="decode, orient, crop and resize")
    queue: float = Field(description="wait for a free runner")
    run: float = Field(description="the network itself")


class Prediction(Body):
    """The strongest classes of one input."""

    model: str
    version: str
    provider: str = Field(description="ONNX Runtime's execution provider in use")
    input_id: str = Field(
        description="stands for the input in other routes; of a picture, its SHA-256"
    )
    predictions: list[Scored]
    timings_ms: Timings


class Predictions(Body):
    """The answers to several files, in their order."""

    results: list[Prediction]


class Gpu(Body):
    """How a model uses its GPU, as ONNX Runtime's CUDA provider says."""

    device: int
    tf32: bool = Field(
        description=(
            "whether sums are of 10-bit fractions: then the numbers are not those of the CPU"
        )
    )
    memory_limit_bytes: int | None = Field(
        description="what each session of it may take; null: all there is"
    )
    cudnn_search: str = Field(description="how cuDNN chooses the algorithm of a convolution")
    batch_sizes: list[int] = Field(
        description="what runs are padded to, each run before it was served; empty: nothing"
    )


class Nodes(Body):
    """Where the nodes of a model's graph run."""

    by_provider: dict[str, int] = Field(
        description="how many each provider runs, before it fuses them"
    )
    fallen_back: list[str] = Field(
        description="operators of the nodes that `provider` does not run"
    )


class ModelSummary(Body):
    """A model that is served."""

    name: str
    versions: list[str]
    version: str = Field(
        description="the version described here; the newest unless another was asked for"
    )
    default: bool = Field(description="whether it answers where a request names no model")
    provider: str
    gpu: Gpu | None = Field(description="null where it runs on no GPU")
    nodes: Nodes | None = Field(description="null where this version of ONNX Runtime does not tell")
    layers: int
    parameters: int
    macs: int | None = Field(description="multiply-adds for one input; null where a size is open")
    input: dict[str, Any] = Field(
        description="name, type and shape of the network's input, and its kind by the card"
    )
    card: dict[str, Any] | None


class RefusedModel(Body):
    """A model file that is not served."""

    name: str
    version: str
    reason: str


class Models(Body):
    """What is served, and what was refused."""

    models: list[ModelSummary]
    refused: list[RefusedModel]


class Sample(Body):
    """An input to try a model with."""

    name: str = Field(description="for people")
    file: str
    media_type: str
    bytes: int


class Samples(Body):
    """The samples of a model, by file name."""

    model: str
    version: str
    samples: list[Sample]


class LayerField(Body):
    """The receptive field of a layer: size, stride, padding per axis; null, with a reason, where
    there is none.
    """

    status: Literal["exact", "whole_input", "upper_bound"]
    size: list[int] | None
    stride: list[float] | None
    padding: list[float] | None
    reason: str | None = None
    operator: str | None = Field(default=None, description="the operator that widened the answer")


class LayerTensor(Body):
    """A tensor that a layer reads or makes."""

    name: str
    shape: list[int | None] = Field(description="without the batch axis")
    channel_axis: int | None = Field(
        description="which axis of `shape` is that of the channels; null if none"
    )


class Layer(Body):
    """One layer."""

    index: int
    name: str
    kind: str
    operator: str
    tensor: str = Field(description="the tensor that is served as its activations")
    inputs: list[str] = Field(description="the layers it reads")
    operands: list[LayerTensor] = Field(
        description="the tensors its operator reads, constants left out: `tap=input`"
    )
    kernel_shape: list[int] | None
    strides: list[int] | None
    pads: list[int] | None
    dilations: list[int] | None
    groups: int | None
    output_shape: list[int | None] = Field(description="without the batch axis")
    channel_axis: int | None = Field(
        description="which axis of `output_shape` is that of the channels; null if none"
    )
    attributes: dict[str, Scalar | list[Scalar]] = Field(
        description="the operator's own, as the file has them: numbers, texts and lists of these"
    )
    parameters: int
    macs: int | None
    receptive_field: LayerField


class InputTensor(Body):
    """The network's input."""

    name: str
    shape: list[int | str | None]


class Layers(Body):
    """Every layer of a model, in topological order."""

    model: str
    version: str
    input: InputTensor
    layers: list[Layer]


class LayerReference(Body):
    """Which layer an answer is about."""

    index: int
    name: str
    output_shape: list[int | None]


class Channel(Body):
    """Statistics of one channel."""

    channel: int
    min: Number
    max: Number
    mean: Number
    zeros: Number = Field(description="fraction of zeros")


class SeenPatch(Body):
    """What a unit sees."""

    interval: list[Interval] = Field(description="with padding")
    clipped: list[Interval] = Field(description="within the input")
    picture: list[Interval] | None = Field(
        description="rows, then columns, in pixels of the posted picture; null for numbers"
    )


class Unit(Body):
    """One unit and its value."""

    channel: int
    position: list[int]
    value: Number
    receptive_field: SeenPatch | None


class Activations(Body):
    """What a layer answered to an input."""

    model: str
    version: str
    input_id: str
    tap: Literal["post", "pre", "input"]
    layer: LayerReference
    tensor: LayerTensor = Field(description="what the channels and units below are of")
    channels: list[Channel]
    units: list[Unit] = Field(
        description="the largest values of the channels asked for, largest first"
    )
    values: list[Any] | None = Field(
        default=None, description="with full=true: nested lists, channels first"
    )


class Kernels(Body):
    """A layer's learned weights."""

    model: str
    version: str
    layer: LayerReference
    shape: list[int]
    channels: list[int] = Field(description="the outputs that the first axis counts")
    kernels: list[Any] = Field(
        description="[out, in, ...], `in` of one group; of a Gemm times its alpha"
    )
    bias: list[Number] | None = Field(
        description="of each output, of a Gemm times its beta; null if it has none"
    )


class ProblemType(Body):
    """What a type of problem means."""

    type: str
    title: str
    status: int
    description: str


class Status(Body):
    """Health."""

    status: str
    detail: str | None = None
