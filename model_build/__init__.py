"""The builder: networks written directly as ONNX graphs, and their learned weights."""

import os

# Before anything here imports onnxruntime: a build reports to nobody.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
