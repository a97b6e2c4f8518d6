"""Checks a file of the evidence ledger. Needs the file, and no network.

    python -m services.retention.verify FILE [--key HEX|FILE]... [--published FILE]

FILE is what /evidence/ledger.jsonl gives. `--key` names a public key that you trust (64 hexadecimal digits, or a file
of them); without one the keys that the file itself names are used, which shows tampering by whoever has no key, and not
by the operator. `--published` is a copy, made earlier, of /.well-known/sealpost-evidence.json: its keys are trusted and
its roots must be in the file, which has to be the whole ledger then, so that also one that was cut short or written
anew is found out.

Exit code: 0 the file is what was signed, 1 it is not, 2 it could not be checked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from services.retention.ledger.checking import Checker, Verdict, read_roots
from services.retention.ledger.signing import Root

_GOOD, _BAD, _UNCHECKED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the file that the command line names, print the verdict, return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m services.retention.verify", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("file", type=Path, help="the ledger, JSON lines")
    parser.add_argument(
        "--key", action="append", default=[], help="public key to trust: hexadecimal, or a file of them"
    )
    parser.add_argument("--published", type=Path, help="a copy of /.well-known/sealpost-evidence.json")
    options = parser.parse_args(arguments)
    try:
        keys = [key for given in options.key for key in _keys(given)]
        known: list[Root] = []
        if options.published:
            known, published = read_roots(options.published.read_text(encoding="utf-8"))
            keys = keys or published
        with options.file.open("rb") as lines:
            verdict = Checker(keys, known).check(lines)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"NOT CHECKED: {error}", file=sys.stderr)
        return _UNCHECKED
    _tell(verdict)
    if not verdict.good:
        return _BAD
    return _GOOD if verdict.roots else _UNCHECKED


def _keys(given: str) -> list[bytes]:
    """Return the keys of one --key. Raises: ValueError, OSError."""
    text = given if len(given) == 64 and not Path(given).exists() else Path(given).read_text(encoding="ascii")
    keys = [bytes.fromhex(line) for line in text.split()]
    if not keys or any(len(key) != 32 for key in keys):
        raise ValueError("a public key has 64 hexadecimal digits")
    return keys


def _tell(verdict: Verdict) -> None:
    if not verdict.good:
        print("NOT GENUINE:")
        for fault in verdict.faults:
            print(f"  {fault}")
        return
    if not verdict.roots:
        print(f"NOT CHECKED: {verdict.entries} entries in an unbroken chain, but no signed end of a day among them")
        return
    print(f"GENUINE: {verdict.entries} entries in an unbroken chain, {verdict.roots} signed ends of days")
    print(f"  signed up to the end of {verdict.last_day}")
    if verdict.unsigned:
        print(f"  the last {verdict.unsigned} entries are not signed yet")
    if verdict.begins > 1:
        print(f"  the file begins with entry {verdict.begins}: what came before is not in it")
    if verdict.own_keys:
        print("  the keys are the file's own: compare them with the published ones, or name one with --key")


if __name__ == "__main__":
    sys.exit(main())
