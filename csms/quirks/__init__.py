"""Quirks: what chargers do otherwise than the specification says, as values with evidence."""
