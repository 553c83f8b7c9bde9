"""The models, and reading weights that others made."""
