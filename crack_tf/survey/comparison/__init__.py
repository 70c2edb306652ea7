"""A survey held against an earlier one of the same structure."""
