"""Everything that is drawn: tiles, walls, flights along them, grounds, and real cracks laid onto other pictures."""
