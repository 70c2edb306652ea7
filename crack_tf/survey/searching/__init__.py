"""A photograph from its file to what is known of it, and who searches: threads, or workers elsewhere."""
