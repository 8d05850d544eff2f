"""Model files on disk become loaded models, and loaded models the catalogue that is served."""
