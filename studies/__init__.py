"""Recipes, one file each: what it makes, what it costs, the score to expect, the command. Not part of the installed package."""
