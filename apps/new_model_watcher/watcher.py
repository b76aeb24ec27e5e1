"""The edge of a tick: ask the registry and the orchestrator, let ``decide`` decide, act, and say what was done."""

from collections.abc import Callable, Mapping

from structlog.stdlib import BoundLogger

from apps.common.exposition import NOTHING
from apps.common.registry import Version
from apps.new_model_watcher.figures import figures
from apps.new_model_watcher.tick import GivenUp, RollOut, decide
from apps.orchestrator.port import Orchestrator


class NewModelWatcher:
    """One model's watcher; what it remembers (the failure that it logged, what it tells) decides nothing."""

    def __init__(
        self,
        champion: Callable[[], Version | None],
        orchestrator: Orchestrator,
        log: BoundLogger,
        metrics: Callable[[str], Mapping[str, float]] = lambda _: {},
    ) -> None:
        """``champion`` asks the registry which version should serve, ``metrics`` what a run measured."""
        self.champion = champion
        self.orchestrator = orchestrator
        self.log = log
        self._logged: GivenUp | None = None
        self._metrics = metrics
        self._measured: tuple[str, Mapping[str, float]] = ("", {})  # a run, and what it measured
        self.told = NOTHING  # what its last tick saw; read by another thread

    def tick(self) -> None:
        """Look once and act."""
        champion = self.champion()
        served = self.orchestrator.served()
        action = decide(champion.target if champion else None, served)
        if isinstance(action, RollOut):
            release = self.orchestrator.roll_out(action.target)
            serving = served.serving.version if served.serving else None
            target = action.target
            self.log.info(
                "roll-out asked for", version=target.version, run=target.run_id, release=release, serving=serving
            )
        if isinstance(action, GivenUp) and action != self._logged:
            self.log.error(
                "the champion does not serve",
                version=action.target.version,
                release=action.release,
                reason=action.reason,
                advice="see the log of prediction-server; move the alias champion to another version",
            )
        self._logged = action if isinstance(action, GivenUp) else None
        self.told = tuple(figures(champion, served, self._measured_by(champion)))

    def _measured_by(self, champion: Version | None) -> Mapping[str, float]:
        """Asked once for each champion: what a run that is done measured does not change."""
        if champion is None:
            return {}
        if champion.run_id != self._measured[0]:
            self._measured = champion.run_id, self._metrics(champion.run_id)
        return self._measured[1]
