"""Dead letters, operated: found, shown, sent again, put away."""
