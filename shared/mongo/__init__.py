"""MongoDB: the client, and what several services keep in it."""
