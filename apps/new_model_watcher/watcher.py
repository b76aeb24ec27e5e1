"""The edge of a tick: ask the registry and the orchestrator, let ``decide`` decide, act, and say what was done."""

from collections.abc import Callable

from structlog.stdlib import BoundLogger

from apps.common.registry import Version
from apps.new_model_watcher.tick import GivenUp, RollOut, decide
from apps.orchestrator.port import Orchestrator


class NewModelWatcher:
    """One model's watcher; it remembers only the failure that it has logged, so that it logs it once."""

    def __init__(self, champion: Callable[[], Version | None], orchestrator: Orchestrator, log: BoundLogger) -> None:
        """``champion`` asks the registry which version should serve."""
        self.champion = champion
        self.orchestrator = orchestrator
        self.log = log
        self._logged: GivenUp | None = None

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
