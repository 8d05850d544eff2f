"""What OpenAPI says of `/v2`: bodies that pydantic never reads, for the routes read and write
bytes.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

Scalar = str | int | float | bool
Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]


class Response(BaseModel):
    """An answer: it has these fields and no others."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Server(Response):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class Live(Response):
    """The status says it."""

    live: Literal[True]


class Ready(Response):
    """The status says it."""

    ready: Literal[True]


class ModelReady(Response):
    """The status says it."""

    name: str
    ready: Literal[True]


class TensorMetadata(Response):
    """A tensor; -1 stands for a size that is open, null for what the graph does not tell."""

    name: str
    datatype: Datatype | None
    shape: list[int] | None


class LayerMetadata(TensorMetadata):
    """A layer, which `outputs` may name as `output` says, or by its name."""

    output: str = Field(examples=["layer:0"])


class MetadataParameters(Response):
    """What the protocol has no field for."""

    layers: list[LayerMetadata]


class Metadata(Response):
    """A model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: MetadataParameters


class Config(BaseModel):
    """Triton's ModelConfig, as far as it means something here."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    name: str
    platform: str
    backend: str
    max_batch_size: int = Field(
        description="0 where the batch axis has one size only; dims are with it then"
    )
    input: list[dict[str, Any]]
    output: list[dict[str, Any]]
    dynamic_batching: dict[str, Any] | None = None


class Duration(Response):
    """How often, and the nanoseconds of all together."""

    count: int
    ns: int


class InferenceStatistics(Response):
    """The parts of what requests waited for."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    cache_hit: Duration
    cache_miss: Duration


class BatchStatistics(Response):
    """The executions of one batch size."""

    batch_size: int
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class ModelStatistics(Response):
    """A version of a model."""

    name: str
    version: str
    last_inference: int = Field(description="milliseconds since 1970; 0 for never")
    inference_count: int
    execution_count: int
    inference_stats: InferenceStatistics
    response_stats: dict[str, Any]
    batch_stats: list[BatchStatistics]
    memory_usage: list[Any]


class ModelStatisticsResponse(Response):
    """Triton's statistics extension."""

    model_stats: list[ModelStatistics]


class RepositoryIndexEntry(Response):
    """A version in the repository."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


class OutputTensor(Response):
    """An output; `data` is missing where its bytes follow the document."""

    name: str
    datatype: Datatype
    shape: list[int]
    parameters: dict[str, Scalar] | None = None
    data: list[Any] | None = None


class InferenceAnswer(Response):
    """The answer to an inference."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class InferRequest(BaseModel):
    """A part of a request; what it has besides these fields is not looked at."""

    model_config = ConfigDict(extra="allow")


class InputTensor(InferRequest):
    """The input; its data is here, or its bytes follow the document and `binary_data_size` counts
    them.
    """

    name: str = Field(min_length=1)
    datatype: Datatype
    shape: list[int]
    parameters: dict[str, Scalar] = {}
    data: list[Any] = Field(
        default=[], description="flat, or nested as the shape says; text for BYTES"
    )


class OutputWanted(InferRequest):
    """An output, a layer's name, or `layer:N`."""

    name: str = Field(min_length=1)
    parameters: dict[str, Scalar] = Field(default={}, description="`binary_data`, `classification`")


class InferenceRequest(InferRequest):
    """A request for an inference."""

    id: str | None = None
    parameters: dict[str, Scalar] = Field(
        default={},
        description="`timeout` in microseconds, `binary_data_output`; others are not looked at",
    )
    inputs: list[InputTensor]
    outputs: list[OutputWanted] | None = Field(
        default=None, description="all real outputs if not given"
    )


class IndexRequest(InferRequest):
    """Which models are wanted."""

    ready: bool | None = None


class LoadRequest(InferRequest):
    """Nothing: a model is loaded as it is in the models folder."""

    parameters: dict[str, Scalar] = Field(default={}, max_length=0)


class UnloadRequest(InferRequest):
    """Nothing that matters here."""

    parameters: dict[str, Scalar] = Field(
        default={}, description="`unload_dependents` is taken and means nothing"
    )


ANSWERS = (InferenceAnswer,)
REQUESTS = (InferenceRequest, IndexRequest, LoadRequest, UnloadRequest)
_TEMPLATE = "#/components/schemas/{model}"
_HEAD = {
    "description": "Bytes of the JSON document; the tensors' bytes follow it",
    "schema": {"type": "integer", "minimum": 0},
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
INFERRED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The outputs: a JSON document, and behind it the bytes of some of them",
        "headers": {"Inference-Header-Content-Length": _HEAD},
        "content": {
            "application/json": {"schema": {"$ref": _TEMPLATE.format(model="InferenceAnswer")}},
            "application/octet-stream": _BYTES,
        },
    }
}


def _body(model: type[BaseModel], required: bool, **more: Any) -> dict[str, Any]:
    content = {
        "application/json": {"schema": {"$ref": _TEMPLATE.format(model=model.__name__)}},
        **more,
    }
    return {"requestBody": {"required": required, "content": content}}


INFERENCE = _body(InferenceRequest, True, **{"application/octet-stream": _BYTES}) | {
    "parameters": [
        {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "required": False,
            "description": "Bytes of the JSON before the tensors; 0 for a body that is the input",
            "schema": {"type": "integer", "minimum": 0},
        }
    ]
}
INDEX = _body(IndexRequest, False)
LOAD = _body(LoadRequest, False)
UNLOAD = _body(UnloadRequest, False)


def components() -> dict[str, Any]:
    """The schemas that only this page refers to, by name."""
    _, answers = models_json_schema(
        [(model, "serialization") for model in ANSWERS], ref_template=_TEMPLATE
    )
    _, requests = models_json_schema(
        [(model, "validation") for model in REQUESTS], ref_template=_TEMPLATE
    )
    return {**answers["$defs"], **requests["$defs"]}
