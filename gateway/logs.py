"""Logs: one JSON object a line on stderr, names from a list, nothing about persons."""

import logging
import re
import sys
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9]{9}(?![0-9A-Za-z])", re.ASCII)  # as long as a BSN


def configure(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send our events, and those of libraries without their texts, to stderr. Call once."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            drop_exceptions,
            structlog.processors.JSONRenderer(serializer=_line),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.WriteLogger(stream or sys.stderr),
    )
    root = logging.getLogger()
    root.handlers[:] = [_Foreign(logging.WARNING)]


def drop_exceptions(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """An exception's text may quote a document: only its class stays."""
    raised = event.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()[1]
    if isinstance(raised, BaseException):
        event["error"] = type(raised).__name__
    return event


class _Foreign(logging.Handler):
    """What a library logs becomes one event: who, how bad, but not what it said."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().warning(
            "foreign_log", logger=record.name, severity=record.levelname.lower()
        )


def _line(event: EventDict, **_: object) -> str:
    """JSON without anything that may be a BSN; 0 is as good a text as a number."""
    line = orjson.dumps(event, default=lambda value: type(value).__name__).decode()
    return _NUMBER.sub("0", line)
