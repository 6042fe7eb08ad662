"""How a worker logs: lines for people, or JSON for machines."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec

__all__ = ["JsonFormatter", "LogFormat", "logging_config"]

LogFormat: TypeAlias = Literal["console", "json"]

CONSOLE: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

_USUAL: Final = frozenset(
    (*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "taskName")
)
"""What every log record has; all else was given as ``extra``."""


class JsonFormatter(logging.Formatter):
    """One JSON object for each record: time, level, logger, message, process, and its extras."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        told.update({k: v for k, v in vars(record).items() if k not in _USUAL and k not in told})
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(told, enc_hook=str).decode()


def logging_config(form: LogFormat, level: str) -> dict[str, Any]:
    """A configuration for `logging.config.dictConfig`: everything to standard error.

    Args:
        form: Lines for people, or JSON.
        level: The least level that is logged.
    """
    formatter = {"()": JsonFormatter} if form == "json" else {"format": CONSOLE}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"resaga": formatter},
        "handlers": {
            "resaga": {
                "class": "logging.StreamHandler",
                "formatter": "resaga",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"handlers": ["resaga"], "level": level.upper()},
        "loggers": {
            "_granian": {"propagate": True, "level": "WARNING"},
            "granian.access": {"propagate": False, "handlers": []},
            "httpx": {"level": "WARNING"},
        },
    }
