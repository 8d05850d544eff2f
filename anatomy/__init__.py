"""What is inside an ONNX CNN: its layers, receptive fields, gradients and sub-graphs."""
