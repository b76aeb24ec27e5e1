"""Everything a person types; the one room that prints, that knows the mode and that drives the load test."""
