"""Cost of a training step: images a second, the share of Python, the same step in PyTorch if asked.

    python benchmarks/train_step.py [--experiment digits] [--steps 100] [--against torch]

The first figure is that of the experiment as it trains, augmentation included; `--out FILE` writes
the figures as JSON. For the comparison both run the plain network without augmentation, in turns,
on as many threads; PyTorch (2.13, CPU) is in nobody's dependencies: install it into an environment
of its own, together with this project's build extra.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from model_build.datasets.split import Split
from model_build.experiments.experiments import EXPERIMENTS, Experiment
from model_build.export import Signature, trainable
from model_build.nn import initial
from model_build.training.network import InputSpec
from model_build.training.runner import Runner
from model_build.training.sessions import processors
from model_build.training.step_graph import build
from model_build.training.step_tensors import LABELS, LEARNING_RATE, STEP_NUMBER
from model_build.training.train import train

WARM_UP = 10


def main() -> None:
    """Measure and print; with --out also write the figures as JSON."""
    options = arguments()
    experiment = EXPERIMENTS[options.experiment]
    threads = options.threads or processors()
    result: dict[str, Any] = {
        "experiment": experiment.name,
        "batch": experiment.hyperparameters.batch_size,
        "threads": threads,
        "machine": machine(),
        "onnxruntime": onnxruntime.__version__,
        **as_it_trains(experiment, options.steps, threads),
    }
    if options.against == "torch":
        result |= beside_torch(experiment, options.steps, threads)
    print(json.dumps(result, indent=2))
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiment", choices=list(EXPERIMENTS), default="digits")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--against", choices=["torch"])
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def machine() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def noise(example: InputSpec, count: int) -> Split:
    """Examples of the right shape and type: what is in them changes no time."""
    random = np.random.default_rng(0)
    inputs = random.integers(0, 256, (count, *example.shape)).astype(example.dtype.numpy())
    return Split(inputs, random.integers(0, 10, count))


def as_it_trains(experiment: Experiment, steps: int, threads: int) -> dict[str, float]:
    """The loop itself, with augmentation and the preparation of batches."""
    batch = experiment.hyperparameters.batch_size
    examples = noise(experiment.network.training_input, batch * steps)
    trained = train(
        experiment.network, examples, replace(experiment.hyperparameters, epochs=1), threads=threads
    )
    return {
        "images_per_second": round(batch * steps / trained.seconds, 1),
        "share_outside_onnxruntime": round(trained.outside, 4),
    }


def beside_torch(experiment: Experiment, steps: int, threads: int) -> dict[str, float]:
    """Median milliseconds of a step here and there, taken in turns, and their ratio."""
    here, there = our_step(experiment, threads), torch_step(experiment, threads)
    times: dict[str, list[float]] = {"here": [], "torch": []}
    for number in range(WARM_UP + steps):
        for name, step in (("here", here), ("torch", there)):
            start = time.perf_counter()
            step()
            if number >= WARM_UP:
                times[name].append((time.perf_counter() - start) * 1000)
    ours, theirs = statistics.median(times["here"]), statistics.median(times["torch"])
    return {
        "step_ms": round(ours, 2),
        "torch_step_ms": round(theirs, 2),
        "ratio": round(ours / theirs, 2),
    }


def our_step(experiment: Experiment, threads: int) -> Callable[[], object]:
    """One step of the plain network: the graph that training runs."""
    example, batch = experiment.network.input, experiment.hyperparameters.batch_size
    module = experiment.network.make()
    arrays = initial(module, 0)
    forward = trainable(
        module,
        Signature("examples", example.dtype, ("N", *example.shape), "logits"),
        experiment.name,
    )
    step = build(forward, arrays, experiment.hyperparameters.step, batch)
    runner = Runner(step, step.initial_state(arrays), threads=threads)
    examples = noise(example, batch)
    feeds = {
        "examples": examples.inputs,
        LABELS: examples.labels,
        LEARNING_RATE: np.array(0.01, np.float32),
        STEP_NUMBER: np.array(1, np.float64),
    }
    for buffer in (0, 1):
        runner.fill(buffer, feeds)
    return runner.advance


def torch_step(experiment: Experiment, threads: int) -> Callable[[], object]:
    """The same network, loss and moving average in PyTorch.

    SGD also where the experiment has AdamW, which costs more.
    """
    import torch  # noqa: PLC0415 - in nobody's dependencies
    from torch.nn import functional  # noqa: PLC0415

    torch.set_num_threads(threads)
    example, batch = experiment.network.input, experiment.hyperparameters.batch_size
    network = _torch_network(experiment)
    average = _torch_network(experiment)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    examples = noise(example, batch)
    floats = torch.tensor(examples.inputs.astype(np.float32))
    inputs = floats.movedim(-1, 1).contiguous() if example.dtype.numpy() == np.uint8 else floats
    labels = torch.tensor(examples.labels)

    def step() -> float:
        optimiser.zero_grad()
        loss = functional.cross_entropy(
            network((inputs - 33.3) / 78.6), labels, label_smoothing=0.1
        )
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            for mean, new in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(new, 0.001)
        return float(loss.item())

    return step


def _torch_network(experiment: Experiment) -> Any:
    """The layers that the experiment's graph has, one for one."""
    from torch import nn  # noqa: PLC0415

    convolutions = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
    norms = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
    reader: Any = experiment.network.make()
    network = reader.network
    parts: list[Any] = []
    for block in [*network.blocks, network.head]:
        conv = block.conv
        rank = len(conv.kernel)
        padding = 0 if conv.padding == "valid" else conv.kernel[0] // 2
        parts += [
            convolutions[rank](
                conv.channels_in,
                conv.channels_out,
                conv.kernel,
                conv.stride,
                padding,
                groups=conv.groups,
                bias=False,
            ),
            norms[rank](conv.channels_out),
            nn.ReLU(),
        ]
    linear = network.classifier
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(linear.features_in, linear.features_out))


if __name__ == "__main__":
    main()
