"""What runs on the board: checking a bundle, and the classifier loop."""
