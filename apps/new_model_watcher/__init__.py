"""Rolls out the version that the champion alias points at."""
