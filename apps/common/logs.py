"""Structured logs on standard error: readable lines by default, JSON where a machine reads them."""

import logging
import sys

import structlog


def configure(app: str, log_format: str = "console") -> structlog.stdlib.BoundLogger:
    """Return the app's logger; ``log_format`` is ``console`` or ``json``."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(app=app)
    return logger
