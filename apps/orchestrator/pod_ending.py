"""How a pod's container ended, by its exit code, and why, by the end of its log, which Kubernetes keeps with it."""

from typing import Any

from apps.common.exit_codes import Outcome, outcome_of, signal_name
from apps.common.log_lines import worst_of
from apps.orchestrator.port import Failure

UNSEEN = {"Unknown", "ContainerStatusUnknown"}  # of a container that was gone when its node came back


def ending(pod: Any) -> Failure | None:
    """The last ending that was seen of a pod's only container, also of one that runs again; None when there is none."""
    container = next(iter(pod.status.container_statuses or []), None)
    if container is None:
        return None
    ended = container.state.terminated or container.last_state.terminated
    if ended is None or ended.reason in UNSEEN:
        return None
    outcome = outcome_of(ended.exit_code) or Outcome.COULD_NOT
    if by_signal := signal_name(ended.exit_code):
        reason = f"ended by {by_signal} ({ended.reason})"
    else:
        reason = worst_of((ended.message or "").splitlines()) or f"exit code {ended.exit_code}"
    tries = container.restart_count + bool(container.state.terminated)
    return Failure(outcome, ended.finished_at.timestamp(), reason, tries)
