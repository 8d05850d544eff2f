"""Model files on disk become loaded models, and loaded models become the catalogue that is served."""
