"""A foreign ONNX file becomes one that takes pictures and has a card."""
