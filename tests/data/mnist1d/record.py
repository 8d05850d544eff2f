"""Record what the authors' package generates: the oracle of
tests/model_build/datasets/test_mnist1d.py.

A tool of its own that imports nothing of Fovea. In an environment with the package mnist1d
0.0.2.post1 (Apache-2.0):

    python tests/data/mnist1d/record.py

It writes reference.npz beside itself: all labels, the sum of every signal, and every 50th signal,
in the order of the data set (4,000 to learn from, then 1,000 for the test). No more than the tests
need: the data set is generated anew.
"""

import importlib
from pathlib import Path

import numpy as np


def main() -> None:
    data = importlib.import_module("mnist1d.data").make_dataset()
    signals = np.concatenate([data["x"], data["x_test"]])
    labels = np.concatenate([data["y"], data["y_test"]]).astype(np.uint8)
    path = Path(__file__).with_name("reference.npz")
    np.savez_compressed(path, labels=labels, sums=signals.sum(axis=1), signals=signals[::50])


if __name__ == "__main__":
    main()
