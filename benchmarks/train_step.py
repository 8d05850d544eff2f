"""What a step of training costs: images a second, the share of Python, and the same step in PyTorch
if asked.

    python benchmarks/train_step.py [--course digits] [--steps 100] [--against torch] [--out FILE]

The first figure is that of the course as it trains, augmentation included. For the comparison both
run the plain network without augmentation, in turns, on as many threads; PyTorch (2.13, CPU) is in
nobody's dependencies: install it into an environment of its own, together with this project's build
extra.
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
    course = EXPERIMENTS[options.course]
    threads = options.threads or processors()
    result: dict[str, Any] = {
        "course": course.name,
        "batch": course.hyperparameters.batch_size,
        "threads": threads,
        "machine": machine(),
        "onnxruntime": onnxruntime.__version__,
        **as_it_trains(course, options.steps, threads),
    }
    if options.against == "torch":
        result |= beside_torch(course, options.steps, threads)
    print(json.dumps(result, indent=2))
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--course", choices=list(EXPERIMENTS), default="digits")
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


def as_it_trains(course: Experiment, steps: int, threads: int) -> dict[str, float]:
    """The loop itself, with augmentation and the preparation of batches."""
    batch = course.hyperparameters.batch_size
    examples = noise(course.network.training_input, batch * steps)
    trained = train(
        course.network, examples, replace(course.hyperparameters, epochs=1), threads=threads
    )
    return {
        "images_per_second": round(batch * steps / trained.seconds, 1),
        "share_outside_onnxruntime": round(trained.outside, 4),
    }


def beside_torch(course: Experiment, steps: int, threads: int) -> dict[str, float]:
    """Median milliseconds of a step here and there, taken in turns, and their ratio."""
    here, there = our_step(course, threads), torch_step(course, threads)
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


def our_step(course: Experiment, threads: int) -> Callable[[], object]:
    """One step of the plain network: the graph that training runs."""
    example, batch = course.network.input, course.hyperparameters.batch_size
    module = course.network.make()
    arrays = initial(module, 0)
    forward = trainable(
        module, Signature("examples", example.dtype, ("N", *example.shape), "logits"), course.name
    )
    step = build(forward, arrays, course.hyperparameters.step, batch)
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


def torch_step(course: Experiment, threads: int) -> Callable[[], object]:
    """The same network, loss and moving average in PyTorch; SGD also where the course has AdamW,
    which costs more.
    """
    import torch  # noqa: PLC0415 - in nobody's dependencies
    from torch.nn import functional  # noqa: PLC0415

    torch.set_num_threads(threads)
    example, batch = course.network.input, course.hyperparameters.batch_size
    network = _torch_network(course)
    average = _torch_network(course)
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
            for kept, new in zip(average.parameters(), network.parameters(), strict=True):
                kept.lerp_(new, 0.001)
        return float(loss.item())

    return step


def _torch_network(course: Experiment) -> Any:
    """The layers that the course's own graph has, one for one."""
    from torch import nn  # noqa: PLC0415

    convolutions = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
    norms = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
    reader: Any = course.network.make()
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
