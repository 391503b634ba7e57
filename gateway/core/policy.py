"""Doelbinding: who may share what with whom, on which ground. Default deny."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pydantic.fields import FieldInfo

from gateway.errors import MappingInvalid, NotAllowed
from gateway.model import SOORTEN
from gateway.model.envelop import Bericht, Deel
from gateway.model.partner import Partner
from gateway.model.waarden import GeenWaarde, Wgs
from gateway.ports import Loss

ROLES = frozenset(
    "om politie dji justid veilig-thuis rvdk reclassering zvh gemeente gcos landelijk".split()
)
"""Every role a partner can have (design §2)."""

ABOUT_PERSONS = frozenset(Wgs) - {Wgs.GEEN, Wgs.VRIJE_TEKST}
"""The categories a rule can name: the closed list of Wgs art. 2.30(1)(a)."""

MAX_RETENTION = timedelta(days=5 * 365)
"""Wgs art. 1.8(7): at most five years after first processing."""

_RULE_KEYS = frozenset(
    "soort van naar convenant geldig-van geldig-tot grondslag categorieen bewaartermijn-dagen".split()
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rule says of one message for one receiver."""

    grounds: str
    destroy_by: date
    categories: frozenset[Wgs]


@dataclass(frozen=True, slots=True)
class Rule:
    """One `[[regel]]`: a kind, from a role to a role, while a convenant is in force."""

    kind: str
    sender: str
    receiver: str
    convenant: str
    begin: date
    end: date
    grounds: tuple[str, ...]
    categories: frozenset[Wgs]
    retention: timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules. `ordered` holds the kinds kept in order; `answers` maps an answer to its question."""

    rules: tuple[Rule, ...]
    ordered: frozenset[str]
    answers: Mapping[str, str]

    @classmethod
    def read(cls, text: str) -> Policy:
        """
        The policy in a `doelbinding.toml`.

        Raises:
            MappingInvalid: not TOML, an unknown key, kind, role or category, or no rule at all.
        """
        try:
            tree = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise MappingInvalid(f"doelbinding: {error}") from error
        _only(tree, {"soort", "regel"}, "doelbinding")
        kinds, rules = tree.get("soort"), tree.get("regel")
        if not isinstance(kinds, dict) or not isinstance(rules, list) or not rules:
            raise MappingInvalid("doelbinding: a policy without kinds or rules is an error")
        ordered, answers = set(), {}
        for kind, row in kinds.items():
            place = f"doelbinding soort.{kind}"
            _one_of(kind, SOORTEN, place)
            _only(row, {"volgorde", "antwoord-op"}, place)
            if _typed(row, "volgorde", bool, place):
                ordered.add(kind)
            if "antwoord-op" in row:
                answers[kind] = _one_of(row["antwoord-op"], SOORTEN, place)
        return cls(
            tuple(_rule(row, kinds, f"doelbinding regel {n}") for n, row in enumerate(rules, 1)),
            frozenset(ordered),
            answers,
        )

    def may_send(self, sender: Partner, kind: str) -> None:
        """Raises NotAllowed unless the agreement lets the partner send this kind."""
        if kind not in sender.sends:
            raise NotAllowed(f"De afspraak met de afzender omvat geen {kind}.")

    def decide(self, bericht: Bericht, sender: Partner, receiver: Partner, today: date) -> Ruling:
        """
        The ruling for one receiver; which fields it then may have is `strip`'s to apply.

        Raises:
            NotAllowed: outside the agreement of either, or no rule in force today.
        """
        kind = bericht.soort
        self.may_send(sender, kind)
        if kind not in receiver.receives:
            raise NotAllowed(f"De afspraak met de ontvanger omvat geen {kind}.")
        for rule in self.rules:
            if (rule.kind, rule.sender, rule.receiver) != (kind, sender.role, receiver.role):
                continue
            if rule.begin <= today <= rule.end:
                grounds = f"{'; '.join(rule.grounds)} ({rule.convenant})"
                return Ruling(grounds, today + rule.retention, rule.categories)
        raise NotAllowed(f"Geen geldige regel voor {kind} van {sender.role} naar {receiver.role}.")


def strip(bericht: Bericht, categories: frozenset[Wgs]) -> tuple[Bericht, tuple[Loss, ...]]:
    """
    The message without what the categories do not cover, and what was removed: paths, no values.

    Raises:
        NotAllowed: a field without which the message makes no sense would have to go.
    """
    allowed = categories | {Wgs.GEEN}
    if allowed >= ABOUT_PERSONS:
        allowed |= {Wgs.VRIJE_TEKST}
    removed: list[Loss] = []
    data = _strip(bericht.data, allowed, "", removed)
    return bericht.model_copy(update={"data": data}), tuple(removed)


def _strip(part: Deel, allowed: frozenset[Wgs], prefix: str, removed: list[Loss]) -> Deel:
    update: dict[str, Any] = {}
    reasons = dict(part.geen_waarde)
    for name, info in type(part).model_fields.items():
        value = getattr(part, name)
        if name == "geen_waarde" or value is None or value == ():
            continue
        alias = info.alias or name
        path = prefix + alias
        if (category := _category(info)) not in allowed:
            if info.is_required():
                raise NotAllowed("De ontvanger mag een verplicht veld niet krijgen.", path=path)
            update[name] = info.get_default(call_default_factory=True)
            reasons[alias] = GeenWaarde.NIET_GEAUTORISEERD
            removed.append(Loss(path, category.value, "weg", GeenWaarde.NIET_GEAUTORISEERD.value))
        elif isinstance(value, Deel):
            update[name] = _strip(value, allowed, f"{path}.", removed)
        elif isinstance(value, tuple):
            update[name] = tuple(
                _strip(item, allowed, f"{path}[{n}].", removed) if isinstance(item, Deel) else item
                for n, item in enumerate(value)
            )
    return part.model_copy(update={**update, "geen_waarde": reasons})


def _category(info: FieldInfo) -> Wgs:
    """The category of a field; one that says nothing is treated as free text: default deny."""
    extra = info.json_schema_extra
    return Wgs(str(extra["wgs"])) if isinstance(extra, dict) and "wgs" in extra else Wgs.VRIJE_TEKST


def _rule(row: Any, kinds: Mapping[str, Any], place: str) -> Rule:
    _only(row, _RULE_KEYS, place)
    grounds = _typed(row, "grondslag", list, place)
    names = _typed(row, "categorieen", list, place)
    begin, end = (_typed(row, key, date, place) for key in ("geldig-van", "geldig-tot"))
    retention = timedelta(days=_typed(row, "bewaartermijn-dagen", int, place))
    if not grounds or not all(isinstance(ground, str) and ground for ground in grounds):
        raise MappingInvalid(f"{place}: grondslag must name at least one law article")
    if begin > end or not timedelta(0) < retention <= MAX_RETENTION:
        raise MappingInvalid(f"{place}: a term ends before it begins, or is over five years")
    if not names:
        raise MappingInvalid(f"{place}: categorieen is empty")
    return Rule(
        kind=_one_of(row["soort"], kinds, place),
        sender=_one_of(row["van"], ROLES, place),
        receiver=_one_of(row["naar"], ROLES, place),
        convenant=_typed(row, "convenant", str, place),
        begin=begin,
        end=end,
        grounds=tuple(grounds),
        categories=frozenset(Wgs(_one_of(name, ABOUT_PERSONS, place)) for name in names),
        retention=retention,
    )


def _only(row: Any, keys: set[str] | frozenset[str], place: str) -> None:
    if not isinstance(row, dict) or not row:
        raise MappingInvalid(f"{place}: an empty policy or row is an error")
    if unknown := sorted(row.keys() - keys):
        raise MappingInvalid(f"{place}: unknown key {unknown[0]}")
    if keys is _RULE_KEYS and (missing := sorted(keys - row.keys())):
        raise MappingInvalid(f"{place}: {missing[0]} is missing")


def _one_of(name: Any, known: Any, place: str) -> str:
    if not isinstance(name, str) or name not in known:
        raise MappingInvalid(f"{place}: unknown {name!r}")
    return name


def _typed(row: dict[str, Any], key: str, kind: type[Any], place: str) -> Any:
    """TOML keeps types apart; `bool` is an `int` and a date-time a `date` in Python, hence `type`."""
    value = row.get(key)
    if type(value) is not kind or value == "":
        raise MappingInvalid(f"{place}: {key} must be a {kind.__name__}")
    return value
