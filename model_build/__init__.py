"""The builder: networks written directly as ONNX graphs, and their learned weights."""
