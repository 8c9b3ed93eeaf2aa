"""Kafka: the one consume loop and everything it stands on."""
