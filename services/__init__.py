"""Lesson Progress: the three services."""
