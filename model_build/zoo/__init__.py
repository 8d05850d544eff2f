"""The networks, one a file: each is written from its paper and holds no weights."""
