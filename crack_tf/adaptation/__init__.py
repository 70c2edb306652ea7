"""A model for one structure: a few of its own labels, or none, and a guard that hands nothing over unless it is better."""
