"""Where a session is kept between two commands: one file that only its owner can read.

It holds the site, the address and the session token - whoever reads it has the session until it ends - and nothing of
the key: the private key is fetched wrapped and unlocked with the password each time it is needed, so a stolen file
opens no mail.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from libs.client.errors import UsageError

_MAX_BYTES = 16_384


@dataclass(frozen=True)
class Session:
    """A kept session. `repr` does not show the token."""

    url: str
    address: str
    token: str

    def __repr__(self) -> str:
        """Return the site only."""
        return f"Session({self.url})"


def default_path(environ: Mapping[str, str]) -> Path:
    """Return $XDG_STATE_HOME/sealpost/session.json, by default under ~/.local/state."""
    base = environ.get("XDG_STATE_HOME", "")
    # The specification wants relative ones ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return root / "sealpost" / "session.json"


def load(path: Path) -> Session | None:
    """Return the kept session, None if there is none.

    Raises: UsageError if the file is damaged, or can be read by others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError("state", "the state file cannot be read") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise UsageError("state_open", "the state file can be read by others: remove it, or chmod 600 it")
        content = os.read(descriptor, _MAX_BYTES)
    finally:
        os.close(descriptor)
    try:
        given = json.loads(content)
        return Session(str(given["url"]), str(given["address"]), str(given["token"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("state", "the state file is damaged: remove it") from error


def save(path: Path, session: Session) -> None:
    """Keep `session`, in place of what was kept. Raises UsageError if that cannot be done."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made with mode 0600, and there whole or not at all.
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".session-")
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(asdict(session), file)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError("state", "the state file cannot be written") from error


def forget(path: Path) -> None:
    """Keep nothing."""
    path.unlink(missing_ok=True)
