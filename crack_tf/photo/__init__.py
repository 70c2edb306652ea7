"""Whole photographs: the foreground, tiles stitched to one mask, and cracks measured in pixels and millimetres."""
