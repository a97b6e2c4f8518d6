"""What the policy is made of besides metrics: rules, purposes, data classes, clauses; strict like everything of it.

A *rule* is a number of the policy, and stands once. Sentences name it in braces, services read it through Terms, and an
operator may give it another value within its bounds: the one on its weaker side is required, because an override must
never promise less than the clauses allow. A *data class* says of something that is kept whose it is, what for, where,
how sealed and how long. A *clause* is a sentence with what makes it true.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
Text = Annotated[str, StringConstraints(min_length=3, max_length=300)]
Sentence = Annotated[str, StringConstraints(min_length=10, max_length=900)]
ClauseId = Annotated[str, StringConstraints(pattern=r"^[EGSPMR][1-9][0-9]?$")]
# A dotted name, or a file outside of Python and, after #, what has to stand in it.
Symbol = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Za-z_][A-Za-z0-9_.]*|(services|charts|libs|docs)/[A-Za-z0-9_./-]+(#.{2,80})?)$"),
]
TestId = Annotated[str, StringConstraints(pattern=r"^tests/[a-z0-9_/]+\.py::test_[a-z0-9_]+$")]
ProfileName: TypeAlias = Literal["guest", "sealed", "public", "mailing", "relay"]
PROFILES: tuple[ProfileName, ...] = ("guest", "sealed", "public", "mailing", "relay")
EVERY = "every"
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class Strict(BaseModel):
    """Frozen; nothing unknown, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Names = Annotated[tuple[Name, ...], Field(strict=False)]
Profiles = Annotated[tuple[ProfileName, ...], Field(strict=False, min_length=1)]


def placeholders(sentence: str) -> tuple[str, ...]:
    """Return the rules that `sentence` names in braces, each once, in order."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(sentence)))


class Repeat(Strict):
    """Another place that says a rule's number, because it cannot read it: checked by the linter.

    Either `setting`, a dotted path to a constant or to a field of a settings class (its default counts), or `text`, a
    file of the repository in which `says` stands with the rule in words (or by `each`) for its braces.
    """

    setting: Symbol | None = None
    text: Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9_./-]+$")] | None = None
    says: Text | None = None
    # The text says the number itself, in units of so many seconds, with the unit behind it.
    each: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.setting is None) == (self.text is None) or (self.text is None) != (self.says is None):
            raise ValueError("either a setting, or a text and what it says")
        return self


class Rule(Strict):
    """A number. `weaker`: which way it promises less; a change that way is material, with "either" any change is."""

    value: Annotated[int, Field(ge=0)]
    unit: Literal["seconds", "count"]
    help: Text
    weaker: Literal["more", "less", "either"]
    at_least: int | None = None
    at_most: int | None = None
    # Why the bounds are where they are.
    bound: Text | None = None
    profiles: Profiles = PROFILES
    repeated: Annotated[tuple[Repeat, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.weaker != "less" and self.at_most is None:
            raise ValueError("more is weaker, so at_most is required")
        if self.weaker != "more" and self.at_least is None:
            raise ValueError("less is weaker, so at_least is required")
        if self.at_least is not None and self.value < self.at_least:
            raise ValueError(f"must be at least {self.at_least}")
        if self.at_most is not None and self.value > self.at_most:
            raise ValueError(f"must be at most {self.at_most}")
        return self

    def weakens(self, before: int, after: int) -> bool:
        """Tell whether `after` promises less than `before`."""
        if self.weaker == "either":
            return before != after
        return after > before if self.weaker == "more" else after < before


class Titled(Strict):
    """Something with a name for people, and a sentence about it."""

    title: Text
    help: Text


class Profile(Titled):
    """One of the five; `seed` is the published policy that it comes from."""

    seed: Text


class MailPurpose(Titled):
    """What the platform may write to an account for: which letters, with whose consent, and also where."""

    consent: Literal["none", "newsletter", "contact"]
    # Whether the contact address, where the owner gave one and agreed, gets it too.
    contact: bool = False
    letters: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]


class Disclosure(Strict):
    """What an order may be based on, and which facts of an account may be handed over: JSON names by data class."""

    legal_bases: Annotated[Mapping[Name, Text], Field(min_length=1)]
    facts: Mapping[Name, Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]]


class Retention(Strict):
    """How long. `text` says it to people and names each rule of `rules` in braces.

    fixed: a time from when it came in; idle: a time from the last use; count: so many of the newest; until: something
    ends it (the account, its owner, an upload); legal: the law says how long.
    """

    kind: Literal["fixed", "idle", "count", "until", "legal"]
    rules: Names = ()
    text: Sentence

    @model_validator(mode="after")
    def _told(self) -> Self:
        if self.kind != "until" and not self.rules:
            raise ValueError(f"{self.kind}: needs a rule")
        if set(placeholders(self.text)) != set(self.rules):
            raise ValueError("the text has to name each of the rules in braces, and no other")
        return self


class Canary(Strict):
    """Through which door a synthetic item is planted each day; or, with `door` empty, why none can be."""

    door: Literal["", "smtp", "submission", "http", "page"] = ""
    why: Text | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if not self.door and self.why is None:
            raise ValueError("a door, or why there is none")
        return self


class Export(Strict):
    """Whether the account's owner gets it with the export, and why or why not."""

    given: bool
    why: Text


class DataClass(Titled):
    """Something that is kept. Its name is its key; `where` names the fields of each collection of its service."""

    service: Name
    subject: Literal["account", "nobody", "operator", "recipient", "visitor"]
    purpose: Name
    # Who else gets it in the ordinary course; words of policy.yaml's recipients.
    recipients: Names = ()
    profiles: Profiles
    where: Annotated[Mapping[Name, Annotated[tuple[Name, ...], Field(strict=False)]], Field(min_length=1)]
    sealed: Text
    retention: Retention
    disclosure: Literal["none", "facts", "sealed"]
    canary: Canary
    export: Export


class Source(Strict):
    """Where the promise comes from: a file of seeds (without .txt), and its words."""

    seed: Literal[
        "xs2mail-privacy-policy",
        "s-mail-privacy-statement",
        "mailsac-privacy-policy",
        "click2mail-privacy-policy",
        "smtpserver-terms",
    ]
    quote: Sentence


class Clause(Strict):
    """A sentence to users, and what makes it true. Rules stand in braces; `short` is its line of the short version."""

    title: Text
    profiles: Profiles
    sentence: Sentence
    # Earlier forms of the sentence, braces and all, that mean the same: put there by whoever changes only its words.
    rewords: Annotated[tuple[Sentence, ...], Field(strict=False)] = ()
    short: Text
    source: Source
    enforced: Annotated[tuple[Symbol, ...], Field(strict=False)] = ()
    tests: Annotated[tuple[TestId, ...], Field(strict=False)] = ()
    probe: Name | None = None
    classes: Names = ()
    # Why nothing of it exists yet; a pending clause promises nothing.
    pending: Text | None = None
    # What of the promise does not exist yet, where the rest does.
    lacks: Text | None = None

    @property
    def rules(self) -> tuple[str, ...]:
        """Return the rules that its texts name."""
        return placeholders(f"{self.sentence} {self.short}")

    @property
    def status(self) -> Literal["in_force", "pending"]:
        """Return whether it holds."""
        return "in_force" if self.pending is None else "pending"
