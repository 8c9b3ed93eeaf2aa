"""Certificates: a completed course becomes one PDF, one notice of each kind, and an e-mail where wanted."""
