"""A training, from its configuration to the run folder that it leaves."""
