"""The requests that ``./baton traffic`` sends: the rows of the test part, without their target."""

import structlog

from apps import datasets
from apps.batch_dropper.settings import DropperSettings
from apps.batch_dropper.slice_store import SliceStore
from apps.common.settings import variable
from stack.cli.pipeline import Pipeline


def requests(pipeline: Pipeline) -> list[bytes]:
    """The value of each, in their order; raises SettingsError when the source has none."""
    told = {name: pipeline.environment.get(variable(name)) for name in DropperSettings.model_fields}
    settings = DropperSettings.model_validate({**{k: v for k, v in told.items() if v}, "job": "replay"})
    store = SliceStore(settings, datasets.get(pipeline.dataset), structlog.get_logger())
    return [request.value for request in store.requests()]
