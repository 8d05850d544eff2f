"""A graph becomes receptive fields: what each unit of each layer sees of the input, and back."""
