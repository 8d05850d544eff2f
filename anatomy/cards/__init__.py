"""The model card: one JSON document in the file, read, validated and written."""
