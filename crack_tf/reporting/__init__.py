"""Notebooks, their execution into one HTML file, and the pictures that evaluations and trainings leave."""
