"""The models that come with the package, adding one, and taking one that was made elsewhere."""
