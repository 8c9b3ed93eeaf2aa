"""Verifying a run: what the topics and the collections say of each other, read once, in memory that does not grow."""
