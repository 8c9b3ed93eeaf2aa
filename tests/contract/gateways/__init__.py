"""A package, so that the system its tests share ends when they have."""
