"""How a server tells whoever started it that it is ready; apart, because a server that waits loads nothing else."""

import json

from apps.prediction_server.settings import ServerSettings


def say_ready(settings: ServerSettings, state: str) -> None:
    """Write the ready file as a whole."""
    settings.ready_file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = settings.ready_file.with_name(f".{settings.ready_file.name}.tmp")
    ready = {"release": settings.release, "version": settings.model_version, "state": state}
    unfinished.write_text(json.dumps(ready))
    unfinished.replace(settings.ready_file)
