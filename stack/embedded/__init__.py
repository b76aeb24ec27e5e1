"""Embedded mode: the platform and the apps as local processes, no containers."""
