"""``./baton bench``: figures, never verdicts; each stands beside its machine, its load and what measures it."""
