"""Recalculator: a completed lesson becomes the right percentage, from the stored facts, whatever the order."""
