"""The Open Inference Protocol (V2) without HTTP: its bytes to tensors and back, and what it says
about models.
"""
