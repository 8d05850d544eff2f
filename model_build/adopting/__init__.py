"""A foreign ONNX file becomes one that takes images and has a card."""
