"""
A first declaration from a CSV file of which nothing is known: every guess with its reason, for a person to correct.

The whole file is read, in one pass that keeps counts and samples: ``opened`` finds how it is written, ``profile`` what
its cells look like, ``kinds`` what each column is, ``relations`` what columns say of each other and of the target, and
``writing`` makes the module that goes to ``apps/datasets/``.
"""
