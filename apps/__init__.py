"""The product: one package per app, each run as ``python -m apps.<app>`` and configured by environment only."""
