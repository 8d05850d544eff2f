"""A float model becomes its int8 variant, measured beside it."""
