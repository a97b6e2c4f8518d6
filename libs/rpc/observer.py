"""Outcomes of calls as metrics and log lines."""

from __future__ import annotations

import logging


class ServerObserver:
    """Counts served calls and logs what went wrong inside them."""

    def finished(self, method: str, outcome: str, seconds: float) -> None:
        """Count one call."""

    def failed(self, method: str, error: BaseException) -> None:
        """Log the class of an exception that is not of the tree."""
        logging.getLogger("sealpost.rpc").error("rpc_failed %s %s", method, type(error).__name__)
