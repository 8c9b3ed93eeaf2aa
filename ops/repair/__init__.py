"""The audit and what follows from it: what differs, the command that heals it, and waiting until it did."""
