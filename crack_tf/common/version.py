"""The version, for what writes it into files: a room imports nothing above it, and the package is above all."""

__version__ = "0.1.0"
