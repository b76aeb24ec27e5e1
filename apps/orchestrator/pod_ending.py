"""How a pod's container ended, by its exit code, and why, by the end of its log, which Kubernetes keeps with it."""

from typing import Any

from apps.common.exit_codes import Outcome, outcome_of, signal_name
from apps.common.log_lines import worst_of
from apps.orchestrator.port import Failure

UNSEEN = {"Unknown", "ContainerStatusUnknown"}  # of a container that was gone when its node came back


def ending(pod: Any) -> Failure | None:
    """The last ending that was seen of a pod's only container, also of one that runs again; None when there is none."""
    found = [status.state.terminated or status.last_state.terminated for status in pod.status.container_statuses or []]
    ended = next(filter(None, found), None)
    if ended is None or ended.reason in UNSEEN:
        return None
    outcome = outcome_of(ended.exit_code) or Outcome.COULD_NOT
    if by_signal := signal_name(ended.exit_code):
        reason = f"ended by {by_signal} ({ended.reason})"
    else:
        reason = worst_of((ended.message or "").splitlines()) or f"exit code {ended.exit_code}"
    return Failure(outcome, ended.finished_at.timestamp(), reason)
