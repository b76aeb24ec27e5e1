"""Keeps the processes of one stack running, and hands serving from one release to the next."""
