"""What the networks learn from, one module per data set: `load` gives a `split.Dataset`."""
