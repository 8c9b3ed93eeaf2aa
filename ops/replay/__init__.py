"""Replaying real learners: send their completions, watch them arrive, compare the figures with the files."""
