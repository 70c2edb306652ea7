"""Models taken in: one made elsewhere (adopt), a trained one among those that the package ships (add)."""
