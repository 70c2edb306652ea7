"""Where cameras stood and looked, and what a pixel shows of which face."""
