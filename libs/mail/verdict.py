"""What is known of the sender of a mail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of the sender: results in the words of RFC 8601, and what they were found for."""

    spf: str = "none"
    dkim: str = "none"
    dmarc: str = "none"
    # Everything after "authserv-id;" of the field; ASCII, no line breaks.
    results: str = "none"
    # Of the chain of forwarders: "none", "pass", "fail"; "ended" where somebody before us has sealed it as failed; ""
    # where that is not known.
    arc: str = "none"
