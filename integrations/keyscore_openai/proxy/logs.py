"""Logs of the proxy: one JSON object a line on standard error, without headers and texts."""

import json
import logging
import sys
import time
from typing import Any

_LOGGER = logging.getLogger("keyscore.proxy")


def log(event: str, **facts: Any) -> None:
    """Write one line.

    Args:
        event: Name of the event.
        facts: Plain JSON values. Headers, URLs of videos and texts do not belong here: they may
            hold keys, or what a user asks.
    """
    _LOGGER.info(event, extra={"facts": facts})


def start_logs() -> None:
    """Send everything that is logged in this process to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    _LOGGER.setLevel(logging.INFO)


class _JsonFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
