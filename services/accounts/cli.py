"""What staff do to accounts, at the command line of a pod or of the machine: roles, and erasing an account.

    python -m services.accounts.cli grant-role ROLE | revoke-role ROLE | close-account | roles

The address is asked for, or read from standard input, and never stands among the arguments: those stand in the list of
processes, in the history of the shell and in audit logs. The command works with the settings of the service itself, on
the same store, and takes effect with the next request; it needs no running service and no role, so it makes the first
operator. Whoever can run it holds the keys of the service anyway.

Closing an account begins its erasure, without grace: nobody signs in and no mail comes in any more. The service
retention has everything erased, here and everywhere else, within minutes; the token that is printed finds the receipt.

On Kubernetes, in a pod of the service, where the settings are:
    kubectl exec -it deploy/accounts -- python -m services.accounts.cli grant-role operator
On one machine, from the checkout (`make run` keeps everything under .run):
    export SEALPOST_STORE=sqlite:.run/data/accounts SEALPOST_KEK_FILE=.run/secrets/accounts/kek
    export SEALPOST_LOOKUP_KEY_FILE=.run/secrets/accounts/lookup_key
    .venv/bin/python -m services.accounts.cli grant-role operator

The first operator's mailbox gets the mail to postmaster, abuse and the like, unless SEALPOST_OPERATOR_MAILBOX names
another. Exit codes: 0 done, 1 refused, 2 wrong arguments or settings, 3 the store does not answer: try again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from libs.docstore import open_store
from libs.owner.terms import StoredTerms
from libs.policy import PolicyError, Terms, load_policy
from libs.runtime.clock import SystemClock
from libs.runtime.errors import SealpostError, UnavailableError
from libs.runtime.settings import SettingsError, load
from services.accounts.domain.model import Role
from services.accounts.domain.staff import Staff
from services.accounts.graph import make_graph
from services.accounts.repository import COLLECTIONS
from services.accounts.settings import Settings

_DONE, _REFUSED, _MISUSED, _UNAVAILABLE = 0, 1, 2, 3
_MAX_LINE = 1024
_DEADLINE = 60.0

_SAID = {
    "account_not_found": "There is no account with this address.",
    "address_invalid": "This is not an address.",
    "too_many_holders": "This role has as many holders as the policy allows. Revoke it from somebody first.",
    "account_changed": "The account was changed at the same moment. Try again.",
}


def main(arguments: Sequence[str], environ: Mapping[str, str], stdin: TextIO) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = load(Settings, environ)
        return asyncio.run(_run(options, settings, stdin))
    except SettingsError as error:
        print("The settings are wrong:", *error.faults, sep="\n  ", file=sys.stderr)
        return _MISUSED
    except (UnavailableError, TimeoutError):
        print("The store does not answer. Nothing is lost; try again.", file=sys.stderr)
        return _UNAVAILABLE
    except SealpostError as error:
        print(_SAID.get(error.reason, f"Refused: {error.reason}"), file=sys.stderr)
        return _REFUSED


async def _run(options: argparse.Namespace, settings: Settings, stdin: TextIO) -> int:
    url = settings.store.reveal()
    if not url:
        raise SettingsError(["SEALPOST_STORE: is required"])
    try:
        policy = load_policy(settings.policy_overrides)
    except PolicyError as error:
        raise SettingsError([f"SEALPOST_POLICY_OVERRIDES: {error}"]) from error
    address = "" if options.command == "roles" else _read_address(stdin)
    async with asyncio.timeout(_DEADLINE):
        store = await open_store(url, "accounts", COLLECTIONS)
        try:
            terms = Terms(policy)
            await StoredTerms(store, terms).load()
            graph = make_graph(settings, store, SystemClock(), terms)
            await _command(options, address, graph.staff)
        finally:
            await store.close()
    return _DONE


async def _command(options: argparse.Namespace, address: str, staff: Staff) -> None:
    if options.command == "grant-role":
        await staff.grant(address, Role(options.role))
        print(f"The account has the role {options.role}.")
    elif options.command == "revoke-role":
        await staff.revoke(address, Role(options.role))
        print(f"The account does not have the role {options.role}.")
    elif options.command == "close-account":
        token = await staff.close_account(address)
        print("The account is closed, and its erasure has begun.")
        if token:
            print(f"Token of the receipt: {token}")
    else:
        for role, grant, holder in await staff.holders():
            print(f"{role.value:<12}{grant.account_id}  {holder or '(closed)'}")


def _read_address(stdin: TextIO) -> str:
    if stdin.isatty():
        print("Address: ", end="", file=sys.stderr, flush=True)
    return stdin.readline(_MAX_LINE).strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.accounts.cli",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    roles = [role.value for role in Role]
    for name, about in (("grant-role", "give a role"), ("revoke-role", "take a role away")):
        command = commands.add_parser(name, help=f"{about}; the address of the account on standard input")
        command.add_argument("role", choices=roles)
    commands.add_parser("close-account", help="erase an account without grace; its address on standard input")
    commands.add_parser("roles", help="list who holds which role")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, sys.stdin))
