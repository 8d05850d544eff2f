"""The REST service: predictions, activations and receptive fields of the networks in a folder."""
