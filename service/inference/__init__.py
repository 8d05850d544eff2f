"""What a route asks for: predictions, activations with their receptive fields, kernels, and
pictures of them.
"""
