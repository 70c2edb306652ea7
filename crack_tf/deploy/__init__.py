"""A bundle to a board, and its results back."""
