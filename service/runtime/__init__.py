"""Arrays go in and come out of ONNX Runtime: devices, sessions, deadlines and cancellation, and
what the process may use of the machine.
"""
