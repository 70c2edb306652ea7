"""Why a classifier says what it says: maps of what it looked at, how far they can be trusted, and what its errors have in common."""
