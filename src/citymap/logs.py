"""Lines of the log: one event a line, for people or as JSON, without personal data.

A traceback names files, lines and the kind of error, never the values: a message may quote what a
person typed.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

Traced = tuple[type[BaseException], BaseException, TracebackType | None]


def frames(error: Traced) -> list[str]:
    """`module:line function`, outermost first, and the kind of the error."""
    listed = [
        f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error[2])
    ]
    return [*listed[-12:], error[0].__name__]


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says; of a foreign logger with an error only where it happened."""
    found: dict[str, Any] = {
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(), "from": record.name,
    }  # fmt: skip
    error = record.exc_info
    if error and error[0] is not None and error[1] is not None:
        found["event"] = str(record.msg).partition("\n")[0][:200]  # the template, not its values
        found["error"] = frames((error[0], error[1], error[2]))
    else:
        found["event"] = record.getMessage().partition("\n")[0][:400]
    return found | getattr(record, "facts", {})


class Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """See `facts`."""
        return json.dumps(facts(record), ensure_ascii=False, default=str)


class Plain(logging.Formatter):
    """`time level event key=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        """See `facts`."""
        found = facts(record)
        head = f"{found.pop('at')} {found.pop('level')} {found.pop('from')} {found.pop('event')}"
        return " ".join([head, *(f"{k}={v}" for k, v in found.items())])


def configuration(form: Literal["text", "json"]) -> dict[str, Any]:
    """For `logging.config.dictConfig` and uvicorn: warnings and worse, to stderr."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"()": "citymap.logs.Json" if form == "json" else "citymap.logs.Plain"}
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {"uvicorn": {"level": "WARNING"}, "uvicorn.access": {"level": "CRITICAL"}},
    }
