"""Trains a stacked ensemble on all used batches and the new one."""
