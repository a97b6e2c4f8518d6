"""What can go wrong on the user's side. Each kind has an exit code that scripts can act on."""

from __future__ import annotations


class ClientError(Exception):
    """Base. `reason` is a stable word; the text is one line for people."""

    exit_code = 1

    def __init__(self, reason: str, text: str) -> None:
        """Take both."""
        super().__init__(text)
        self.reason = reason


class RefusedError(ClientError):
    """The server said no, or there is no such thing."""

    exit_code = 1


class UsageError(ClientError):
    """The command makes no sense as it was given."""

    exit_code = 2


class UnreachableError(ClientError):
    """No answer, or a temporary one: the same command may work later."""

    exit_code = 3


class SignInNeededError(ClientError):
    """There is no session, or it has ended."""

    exit_code = 4
