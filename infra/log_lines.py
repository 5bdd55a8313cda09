"""Logging of a process: one line a record, ``name=value`` pairs (logfmt), to stderr. The supervisor keeps it in a file."""

from __future__ import annotations

import json
import logging
import time

# Libraries that write a line for every request, record, connection or listener.
_NOISY = ("aiokafka", "asyncio", "faust", "httpx2", "kafka", "mode", "urllib3", "uvicorn")


class LogfmtFormatter(logging.Formatter):
    """Renders a record, traceback included, as one line."""

    def format(self, record: logging.LogRecord) -> str:
        """``time=… level=… logger=… message=…``; times in UTC, milliseconds."""
        fields = [
            f"time={self.formatTime(record)}",
            f"level={record.levelname.lower()}",
            f"logger={record.name}",
            f"message={_quoted(record.getMessage())}",
        ]
        if record.exc_info:
            fields.append(f"exception={_quoted(self.formatException(record.exc_info))}")
        return " ".join(fields)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """ISO 8601 in UTC."""
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{record.msecs:03.0f}Z"


def configure_logging(handler: logging.Handler | None = None, level: int = logging.INFO) -> None:
    """Send all loggers to ``handler``, by default stderr."""
    handler = handler or logging.StreamHandler()
    handler.setFormatter(LogfmtFormatter())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def readable(line: str) -> str:
    """A line of a log for a person: the line breaks of a traceback are put back."""
    return line.replace("\\n", "\n").replace('\\"', '"')


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if not text.isalnum() else text
