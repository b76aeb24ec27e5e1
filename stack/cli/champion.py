"""
Which version is champion, by a person's word: ``./baton promote`` and ``./baton rollback``.

The alias is all that is moved; the watcher sees it and rolls out. A training that runs meanwhile leaves it there.
"""

from dataclasses import asdict, dataclass

from apps.common import registry
from apps.common.errors import BatonError


@dataclass(frozen=True)
class Move:
    """
    The alias moved from version ``before`` to ``version``; it was nowhere where the former is None.

    ``withheld`` is why the training of ``version`` had not moved it there, empty when it had.
    """

    version: str
    before: str | None
    withheld: str

    def words(self) -> str:
        """What was done, and what comes of it."""
        if self.version == self.before:
            return f"version {self.version} is champion already; nothing was moved"
        was = f"in place of version {self.before}" if self.before else "where there was none"
        though = f"; its training had withheld it: {self.withheld}" if self.withheld else ""
        return f"version {self.version} is champion now, {was}; the watcher rolls it out{though}"

    def to_json(self) -> dict[str, str | None]:
        """The same for programs."""
        return asdict(self)


def promote(mlflow: str, model: str, number: str) -> Move:
    """Make a registered version champion, whatever the gate said of it; raise BatonError when there is no such one."""
    versions = {version.version: version for version in registry.versions(mlflow, model)}
    if number not in versions:
        known = ", ".join(versions) or "none"
        raise BatonError(f"VERSION must be a registered one ({known}); got {number}; see ./baton status")
    version, before = versions[number], registry.champion(mlflow, model)
    if before is None or before.version != number:
        line = [*registry.predecessors(mlflow, before), before] if before else []
        registry.move_champion(mlflow, model, number)
        if line:
            registry.note_champions(mlflow, [*line, version])
    return Move(number, before.version if before else None, version.withheld)


def roll_back(mlflow: str, model: str) -> Move:
    """
    Make the version champion that was it before the present one; raise BatonError when nothing is known of any.

    Nothing but the alias changes, and where it points tells another roll-back where to go on.
    """
    champion = registry.champion(mlflow, model)
    if champion is None:
        raise BatonError("a version must be champion; there is none; name one: ./baton promote VERSION")
    before = next(reversed(registry.predecessors(mlflow, champion)), None)
    if before is None:
        message = (
            f"a version must have been champion before version {champion.version}; none is known that is still there"
        )
        raise BatonError(f"{message}; name one: ./baton promote VERSION")
    registry.move_champion(mlflow, model, before.version)
    return Move(before.version, champion.version, before.withheld)
