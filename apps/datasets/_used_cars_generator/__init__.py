"""
Generated used-car listings: 66 cells of text in the formats, shares and prices of the real file.

The real file may not be shipped, so that the demo, the tests and a first training draw their rows from here.
"""

from apps.datasets._used_cars_generator.listings import generate

__all__ = ["generate"]
