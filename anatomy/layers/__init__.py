"""A graph becomes the list of its layers, each with its kind, shapes and costs."""
