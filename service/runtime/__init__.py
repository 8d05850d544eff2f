"""Arrays go through ONNX Runtime and come out: devices, sessions, deadlines, and the machine they
run on.
"""
