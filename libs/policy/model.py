"""What policy.yaml may say, as strict models: unknown names, loose types and impossible numbers are refused.

A *metric* is what a service may record about its users: dimensions with closed vocabularies, and a bound on how much
one unit (an account, an address, a recipient) counts in a day. A *cut* is one way to count it that is ever released:
some of the dimensions, a window, and the privacy parameter epsilon that its noise is made for. Because a unit adds at
most `per_unit` to all cells and windows of a cut in a day, discrete Laplace noise of scale per_unit / epsilon on each
makes the whole day of the cut epsilon-differentially private (Dwork, McSherry, Nissim, Smith 2006; Ghosh et al. 2009),
and the days of all cuts together cost the sum of their epsilons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from libs.policy.parts import (
    EVERY,
    Clause,
    ClauseId,
    DataClass,
    Disclosure,
    MailPurpose,
    Name,
    Profile,
    ProfileName,
    Rule,
    Strict,
    Text,
    Titled,
)

OTHER = "other"
_MAX_CELLS = 1 << 31
_MAX_KNOWN = 10_000

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9/][A-Za-z0-9_./{}:+-]{0,79}$")]


class Cut(Strict):
    """One way to count a metric that is released."""

    title: Text
    dimensions: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    window: Literal["hour", "day"]
    epsilon: Annotated[float, Field(gt=0, le=4, strict=False)]
    # "known": every combination of values is released, noise and all. "unknown": only those that occurred, and whose
    # noisy count passes a threshold that betrays a single unit with a probability of at most delta.
    keys: Literal["known", "unknown"] = "known"
    delta: Annotated[float, Field(ge=0, le=1e-4, strict=False)] = 0.0


class Metric(Strict):
    """What may be recorded."""

    title: Text
    help: Text
    unit: Literal["ip", "account", "recipient"]
    kind: Literal["count", "distinct"] = "count"
    # distinct: a unit counts once in each window of this length, for at most per_unit windows a day.
    distinct_window: Literal["hour", "day"] = "day"
    per_unit: Annotated[int, Field(ge=1, le=10_000)]
    # What the 64-bit key of a fact names, "" where facts have none: an opaque id whose values are not known beforehand.
    key: Literal["", "campaign"] = ""
    dimensions: Mapping[Name, Annotated[tuple[Word, ...], Field(strict=False, min_length=1)]] = Field(
        default_factory=dict
    )
    cuts: Annotated[Mapping[Name, Cut], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, values in self.dimensions.items():
            if len(set(values)) != len(values):
                raise ValueError(f"dimension {name}: a value stands twice")
            if OTHER not in values:
                raise ValueError(f"dimension {name}: lacks {OTHER!r}, for what is outside of the vocabulary")
        if math.prod(len(values) for values in self.dimensions.values()) >= _MAX_CELLS:
            raise ValueError("too many combinations of values")
        for name, cut in self.cuts.items():
            self._check_cut(name, cut)
        return self

    def _check_cut(self, name: str, cut: Cut) -> None:
        if unknown := set(cut.dimensions) - set(self.dimensions):
            raise ValueError(f"cut {name}: no such dimension: {', '.join(sorted(unknown))}")
        if len(set(cut.dimensions)) != len(cut.dimensions):
            raise ValueError(f"cut {name}: a dimension stands twice")
        if self.key and cut.keys == "known":
            raise ValueError(f"cut {name}: the keys of this metric are unknown beforehand")
        if (cut.keys == "unknown") != (cut.delta > 0):
            raise ValueError(f"cut {name}: a delta belongs to unknown keys, and to them alone")
        if cut.keys == "known" and self.size(cut) > _MAX_KNOWN:
            raise ValueError(f"cut {name}: more than {_MAX_KNOWN} cells; release them as unknown keys")

    def size(self, cut: Cut) -> int:
        """Return how many combinations of values `cut` has."""
        return math.prod(len(self.dimensions[name]) for name in cut.dimensions)


class Budget(Strict):
    """What a unit may be put at risk by on one day, over all cuts together."""

    epsilon_per_day: Annotated[float, Field(gt=0, le=20, strict=False)]
    delta_per_day: Annotated[float, Field(gt=0, le=1e-3, strict=False)]


class Policy(Strict):
    """policy.yaml with classes/*.yaml and clauses/*.yaml merged into it, and the operator's overrides applied."""

    version: Annotated[int, Field(ge=1)]
    budget: Budget
    metrics: Annotated[Mapping[Name, Metric], Field(min_length=1)]
    profiles: Mapping[ProfileName, Profile] = Field(default_factory=dict)
    rules: Mapping[Name, Rule] = Field(default_factory=dict)
    # What data are kept for; and who else may get them. Each data class names words of both.
    purposes: Mapping[Name, Titled] = Field(default_factory=dict)
    recipients: Mapping[Name, Titled] = Field(default_factory=dict)
    mail: Mapping[Name, MailPurpose] = Field(default_factory=dict)
    disclosure: Disclosure | None = None
    classes: Mapping[Name, DataClass] = Field(default_factory=dict)
    clauses: Mapping[ClauseId, Clause] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _within_budget(self) -> Self:
        cuts = [cut for metric in self.metrics.values() for cut in metric.cuts.values()]
        if math.fsum(cut.epsilon for cut in cuts) > self.budget.epsilon_per_day:
            raise ValueError("the epsilons of all cuts together exceed the budget of a day")
        if math.fsum(cut.delta for cut in cuts) > self.budget.delta_per_day:
            raise ValueError("the deltas of all cuts together exceed the budget of a day")
        return self

    @model_validator(mode="after")
    def _known_words(self) -> Self:
        for name, data_class in self.classes.items():
            place = f"class {name}"
            _known(place, "rule", data_class.retention.rules, self.rules)
            _known(place, "purpose", (data_class.purpose,), self.purposes)
            _known(place, "recipient", data_class.recipients, self.recipients)
        for identity, clause in self.clauses.items():
            _known(f"clause {identity}", "rule", clause.rules, self.rules)
        letters = [letter for purpose in self.mail.values() for letter in purpose.letters]
        if len(set(letters)) != len(letters):
            raise ValueError("mail: a letter belongs to one purpose")
        return self

    def value(self, rule: str) -> int:
        """Return the number of `rule`. Raises KeyError."""
        return self.rules[rule].value

    def classes_of(self, service: str) -> dict[str, DataClass]:
        """Return the data classes that `service` keeps: its own, and those that every service keeps."""
        return {name: one for name, one in self.classes.items() if one.service in (service, EVERY)}

    def purpose_of(self, letter: str) -> str:
        """Return the purpose of platform mail that `letter` belongs to. Raises KeyError."""
        for name, purpose in self.mail.items():
            if letter in purpose.letters:
                return name
        raise KeyError(letter)


def _known(place: str, kind: str, names: tuple[str, ...], among: Mapping[str, object]) -> None:
    if unknown := sorted(set(names) - set(among)):
        raise ValueError(f"{place}: no such {kind}: {', '.join(unknown)}")
