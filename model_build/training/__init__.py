"""A network and its data become learned weights, one ONNX graph a step."""
