"""Blocks of documents that are written from the code."""
