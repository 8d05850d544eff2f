"""What the protocol says about a model: its metadata, Triton's ModelConfig, and Triton's
statistics.
"""

from typing import Any

from service.oip.datatypes import BYTES
from service.oip.tensors import (
    LARGEST_BATCH,
    LAYER,
    TensorMetadata,
    input_of,
    layers_of,
    outputs_of,
)
from service.repository.model import Model
from service.runtime.placement import CPU
from service.telemetry.statistics import BatchStatistics, Duration, ModelStatistics

PLATFORM = "onnxruntime_onnx"
BACKEND = "onnxruntime"
EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "schedule_policy",
    "statistics",
)
NONE = Duration(0, 0)


def metadata(model: Model, versions: list[str]) -> dict[str, Any]:
    """Inputs, outputs and, as a parameter, the layers: each can be named as an output."""
    listed = [
        {"output": f"{LAYER}{layer.index}", **_shown(tensor)} for layer, tensor in layers_of(model)
    ]
    return {
        "name": model.name,
        "versions": versions,
        "platform": PLATFORM,
        "inputs": [_shown(input_of(model))],
        "outputs": [_shown(tensor) for tensor in outputs_of(model)],
        "parameters": {"layers": listed},
    }


def config(model: Model, instances: int) -> dict[str, Any]:
    """Triton's ModelConfig. Where it batches, dims are without the batch axis."""
    batches = model.supports_batching
    kind = "KIND_CPU" if model.provider == CPU else "KIND_GPU"
    queue = {
        "preferred_batch_size": [],
        "max_queue_delay_microseconds": 0,
        "preserve_ordering": False,
    }
    return {
        "name": model.name,
        "platform": PLATFORM,
        "backend": BACKEND,
        "version_policy": {"all": {}},
        "max_batch_size": LARGEST_BATCH if batches else 0,
        "input": [
            _configured(input_of(model), batches)
            | {"format": "FORMAT_NONE", "allow_ragged_batch": False, "optional": False}
        ],
        "output": [_configured(tensor, batches) for tensor in outputs_of(model)],
        "instance_group": [{"name": f"{model.name}_0", "kind": kind, "count": instances}],
        "default_model_filename": "model.onnx",
        "parameters": {},
        "model_transaction_policy": {"decoupled": False},
        "response_cache": {"enable": False},
    } | ({"dynamic_batching": queue} if batches else {})


def statistics(model: ModelStatistics) -> dict[str, Any]:
    """One entry of `model_stats`."""
    stages = {
        "success": model.success,
        "fail": model.fail,
        "queue": model.queue,
        "compute_input": model.compute_input,
        "compute_infer": model.compute_infer,
        "compute_output": model.compute_output,
        "cache_hit": NONE,
        "cache_miss": NONE,
    }
    return {
        "name": model.name,
        "version": model.version,
        "last_inference": model.last_inference,
        "inference_count": model.inference_count,
        "execution_count": model.execution_count,
        "inference_stats": {name: _duration(duration) for name, duration in stages.items()},
        "response_stats": {},
        "batch_stats": [_batch(batch) for batch in model.batch_stats],
        "memory_usage": [],
    }


def _shown(tensor: TensorMetadata) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": None if tensor.shape is None else tensor.sizes,
    }


def _configured(tensor: TensorMetadata, batches: bool) -> dict[str, Any]:
    datatype = (
        "INVALID"
        if tensor.datatype is None
        else "STRING"
        if tensor.datatype == BYTES
        else tensor.datatype
    )
    dims = tensor.sizes[1:] if batches else tensor.sizes
    return {
        "name": tensor.name,
        "data_type": f"TYPE_{datatype}",
        "dims": dims,
        "is_shape_tensor": False,
    }


def _duration(duration: Duration) -> dict[str, int]:
    return {"count": duration.count, "ns": duration.ns}


def _batch(batch: BatchStatistics) -> dict[str, Any]:
    return {
        "batch_size": batch.batch_size,
        "compute_input": _duration(batch.compute_input),
        "compute_infer": _duration(batch.compute_infer),
        "compute_output": _duration(batch.compute_output),
    }
