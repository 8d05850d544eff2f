"""Training: a network's weights out of examples, interrupted at will and resumed to the same end.

What a step reads follows from the seed and its number; a checkpoint therefore holds the state and
the number. While the runtime computes one step, a thread prefetches the batch of the next one.
"""

import hashlib
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from model_build.datasets.split import Split
from model_build.export import Augmentation, Signature, trainable
from model_build.nn import initial
from model_build.training import checkpoint
from model_build.training.batches import Batches
from model_build.training.checkpoint import Checkpoint
from model_build.training.hyperparameters import Hyperparameters
from model_build.training.loop import Trained, TrainError, TrainingLoop
from model_build.training.network import InputSpec, Network
from model_build.training.prefetch import Prefetch
from model_build.training.progress import Report, Silence
from model_build.training.runner import Runner
from model_build.training.scorer import Scorer
from model_build.training.sessions import Device
from model_build.training.step_graph import Step, build
from model_build.training.step_tensors import AVERAGES


def train(
    network: Network,
    examples: Split,
    hyperparameters: Hyperparameters,
    *,
    held_out: Split | None = None,
    path: Path | None = None,
    device: Device = "cpu",
    threads: int | None = None,
    report: Report | None = None,
) -> Trained:
    """Train a network; the averaged weights are scored on `held_out` after each epoch.

    With `path`, checkpoints are written there, and training goes on from an existing one.
    Raises TrainError for examples that do not fit and for numbers that become NaN or infinite, with
    the step and what went bad first; CheckpointError for the checkpoint of another training;
    DeviceError, StepError and GradientError before it begins.
    """
    _check(network, examples, hyperparameters, held_out)
    step, forward, state = _step(network, hyperparameters, device)
    batches = Batches(
        examples, hyperparameters.batch_size, hyperparameters.seed, network.augmentation
    )
    identity = _identity(step, hyperparameters, network.augmentation, examples)
    _check_labels(step.classes, examples, held_out)
    saved = checkpoint.read(path, identity, step.state) if path else None
    start = saved or Checkpoint(0, state, identity)
    runner = Runner(step, start.state, device, threads)
    scorer = Scorer(forward, step.parameters, device, threads)
    loop = TrainingLoop(step, runner, batches, hyperparameters, start, report or Silence())

    def score() -> float | None:
        return scorer.accuracy(runner.state_buffers[AVERAGES], held_out) if held_out else None

    with Prefetch(loop.prepare) as prefetch:
        loop.run(prefetch, path, score)
    return loop.result()


def _check(
    network: Network, examples: Split, hyperparameters: Hyperparameters, held_out: Split | None
) -> None:
    epochs, batch_size = hyperparameters.epochs, hyperparameters.batch_size
    if min(epochs, batch_size, hyperparameters.checkpoint_every) < 1:
        raise TrainError(
            f"expected epochs, batch_size and checkpoint_every of 1 or more, got {hyperparameters}"
        )
    if len(examples) < batch_size:
        raise TrainError(
            f"{len(examples)} examples to learn from do not fill a batch of {batch_size}"
        )
    if held_out is not None and not len(held_out):
        raise TrainError("there are no examples to score the network on")
    _check_input(network.name, network.training_input, examples)
    if held_out is not None:
        _check_input(network.name, network.input, held_out)


def _check_input(name: str, expected: InputSpec, split: Split) -> None:
    shape, dtype = split.inputs.shape[1:], split.inputs.dtype
    if (shape, dtype) != (expected.shape, expected.dtype.numpy()):
        raise TrainError(f"{name} takes examples of {expected}, got {dtype} {list(shape)}")


def _check_labels(classes: int, *splits: Split | None) -> None:
    for split in splits:
        if split is None:
            continue
        least, greatest = split.labels.min(), split.labels.max()
        if not 0 <= least <= greatest < classes:
            raise TrainError(f"expected labels from 0 to {classes - 1}, got {least} to {greatest}")


def _step(
    network: Network, hyperparameters: Hyperparameters, device: Device
) -> tuple[Step, onnx.ModelProto, dict[str, Any]]:
    """The step, the network as scoring needs it (not augmented), and the state to begin with."""
    module = network.make()
    arrays = initial(module, hyperparameters.seed)
    augmented = trainable(
        module, _signature(network.training_input), network.name, network.augmentation
    )
    step = build(
        augmented,
        arrays,
        hyperparameters.step,
        hyperparameters.batch_size,
        decompose_norms=device == "cuda",
    )
    plain = trainable(network.make(), _signature(network.input), network.name)
    return step, plain, step.initial_state(arrays)


def _signature(example: InputSpec) -> Signature:
    return Signature("examples", example.dtype, ("N", *example.shape), "logits")


def _identity(
    step: Step,
    hyperparameters: Hyperparameters,
    augmentation: Augmentation | None,
    examples: Split,
) -> dict[str, Any]:
    """What must be equal for a training to go on, by name, so that a message can name differences.

    From which ranges an augmentation draws is not in the graph, therefore a few of its numbers.
    """
    drawn = augmentation.draw(np.random.default_rng(0), 4) if augmentation else {}
    # Rounded: another processor's sine may end in another bit.
    digests = {name: zlib.crc32(np.round(array, 3).tobytes()) for name, array in drawn.items()}
    labels = examples.labels
    model = step.model.SerializeToString(deterministic=True)
    return {
        **_named(hyperparameters),
        "network": hashlib.sha256(model).hexdigest(),
        "augmentation": digests,
        "examples": [
            len(labels),
            zlib.crc32(examples.inputs.tobytes()),
            zlib.crc32(labels.tobytes()),
        ],
    }


def _named(hyperparameters: Hyperparameters) -> dict[str, Any]:
    """All hyper-parameters by their own names, which are those of the command line."""
    optimiser = hyperparameters.step.optimiser
    named = {
        **asdict(hyperparameters),
        **asdict(hyperparameters.schedule),
        **asdict(hyperparameters.step),
        **asdict(optimiser),
        "optimiser": type(optimiser).__name__,
    }
    for other in ("schedule", "step", "checkpoint_every"):
        del named[other]
    return named
