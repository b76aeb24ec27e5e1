"""
Every error that Baton raises on purpose, so that an edge can tell a refusal from a crash.

    BatonError
    ├── SettingsError     the environment or a file of the stack says something impossible
    ├── BatchRefused      a batch breaks its contract; it goes to refused/ with this text as the reason
    ├── ModelRefused      a version fails a check before it may serve
    ├── Unavailable       a service that is needed does not answer
    └── DeadlineMissed    a condition did not come true in time

An app that ends with one of the two refusals ends with the exit code REFUSED, with any other of these with FAILED.
A text reads ``<thing> must be <rule>; got <value>; <what to do>``.
"""


class BatonError(Exception):
    """The root of the tree."""


class SettingsError(BatonError):
    """The environment or a file of the stack says something impossible."""


class BatchRefused(BatonError):
    """A batch breaks its contract."""


class ModelRefused(BatonError):
    """A model version fails a check before it may serve."""


class Unavailable(BatonError):
    """A service that is needed does not answer."""


class DeadlineMissed(BatonError):
    """A condition did not come true in time."""
