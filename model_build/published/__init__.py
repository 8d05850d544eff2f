"""Weights that others published become networks of the zoo."""
