"""Starts a training for the oldest complete batch."""
