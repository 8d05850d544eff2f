"""A terminal sees a bar, a log a line an epoch."""

import io
from dataclasses import replace

from model_build.training.hyperparameters import Hyperparameters, StepConfig
from model_build.training.optimiser import SGD
from model_build.training.progress import Progress
from model_build.training.schedule import Cosine
from model_build.training.train import train
from tests.model_build.training.small import DENSE, blobs

HYPERPARAMETERS = Hyperparameters(
    epochs=4,
    batch_size=32,
    schedule=Cosine(0.05),
    step=StepConfig(SGD(0.9), ema_decay=0.9),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar_with_loss_accuracy_speed_and_time_left() -> None:
    screen = Terminal()
    with Progress(screen) as progress:
        train(
            DENSE, blobs(), replace(HYPERPARAMETERS, epochs=40), held_out=blobs(), report=progress
        )
    shown = screen.getvalue()
    for part in (
        "loss ",
        "accuracy ",
        "images/s",
        "epoch 40: ",
        "score 100.00%",
        "100%",
        "12.8k/12.8k",
        "<00:",
    ):
        assert part in shown, part


def test_a_log_gets_a_line_an_epoch_and_no_bar() -> None:
    log = io.StringIO()
    with Progress(log) as progress:
        train(DENSE, blobs(), HYPERPARAMETERS, held_out=blobs(), report=progress)
    lines = log.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 1", "epoch 2", "epoch 3", "epoch 4"]
    assert all("loss " in line and "accuracy " in line and "images/s" in line for line in lines)
    assert "\r" not in log.getvalue()
