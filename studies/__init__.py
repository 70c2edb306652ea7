"""Recipes, one file each: what it makes, what it costs, the score to expect, the command. Not part of the installed package.

`make NAME` sets up and runs `python -m studies.NAME`. All stop at a failure and go on where they were.
"""
