"""Doelbinding: who may share what with whom, on which ground. Default deny."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from gateway.errors import MappingInvalid, NotAllowed
from gateway.model import SOORTEN
from gateway.model.envelop import Bericht, Deel
from gateway.model.partner import Partner
from gateway.model.velden import categorie
from gateway.model.waarden import GeenWaarde, Wgs
from gateway.ports import Loss

ROLES = """om politie dji justid veilig-thuis rvdk reclassering
    zvh gemeente gcos landelijk""".split()  # noqa: SIM905 (a list of words reads best as words)
"""Every role a partner can have (design §2)."""

ABOUT_PERSONS = frozenset(Wgs) - {Wgs.GEEN, Wgs.VRIJE_TEKST}
"""The categories a rule can name: the closed list of Wgs art. 2.30(1)(a)."""

MAX_RETENTION_DAYS = 5 * 365  # Wgs art. 1.8(7): at most five years after first processing

Keys = Mapping[str, type[Any]]
_KIND: Keys = {"volgorde": bool, "antwoord-op": str}
_RULE: Keys = {
    **dict.fromkeys(("soort", "van", "naar", "convenant"), str),
    **dict.fromkeys(("grondslag", "categorieen"), list),
    **dict.fromkeys(("geldig-van", "geldig-tot"), date),
    "bewaartermijn-dagen": int,
}


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rule says of one message for one receiver."""

    grounds: str
    destroy_by: date
    categories: frozenset[Wgs]


@dataclass(frozen=True, slots=True)
class Policy:
    """
    The rules, in order: the first in force for kind and roles decides.

    `ordered` holds the kinds that keep their order per zaak; `answers` maps an answer to its question.
    """

    rules: tuple[Mapping[str, Any], ...]
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
        _typed(tree, {"soort": dict, "regel": list}, "doelbinding")
        for kind, row in tree["soort"].items():
            optional = {"antwoord-op": kind} if isinstance(row, dict) else {}
            _typed(optional | row if optional else row, _KIND, f"soort.{kind}")
            _known([kind, row.get("antwoord-op", kind)], SOORTEN, f"soort.{kind}")
        for number, row in enumerate(tree["regel"], 1):
            place = f"regel {number}"
            _typed(row, _RULE, place)
            _known([row["soort"]], tree["soort"], place)
            _known([row["van"], row["naar"]], ROLES, place)
            _known(row["categorieen"], ABOUT_PERSONS, place)
            if not all(isinstance(ground, str) and ground for ground in row["grondslag"]):
                raise MappingInvalid(f"doelbinding {place}: a grondslag is a law article")
            if row["geldig-van"] > row["geldig-tot"]:
                raise MappingInvalid(f"doelbinding {place}: ends before it begins")
            if not 0 < row["bewaartermijn-dagen"] <= MAX_RETENTION_DAYS:
                raise MappingInvalid(f"doelbinding {place}: bewaartermijn over five years")
        return cls(
            rules=tuple(tree["regel"]),
            ordered=frozenset(kind for kind, row in tree["soort"].items() if row["volgorde"]),
            answers={k: r["antwoord-op"] for k, r in tree["soort"].items() if "antwoord-op" in r},
        )

    def may_send(self, sender: Partner, kind: str) -> None:
        """Raises NotAllowed unless the agreement lets the partner send this kind."""
        if kind not in sender.sends:
            raise NotAllowed(f"De afspraak met de afzender omvat geen {kind}.")

    def decide(self, bericht: Bericht, sender: Partner, receiver: Partner, today: date) -> Ruling:
        """
        The ruling for one receiver; taking out what it may not have is left to `strip`.

        Raises:
            NotAllowed: outside the agreement of either, or no rule is in force today.
        """
        kind = bericht.soort
        self.may_send(sender, kind)
        if kind not in receiver.receives:
            raise NotAllowed(f"De afspraak met de ontvanger omvat geen {kind}.")
        for row in self.rules:
            meant = (row["soort"], row["van"], row["naar"]) == (kind, sender.role, receiver.role)
            if meant and row["geldig-van"] <= today <= row["geldig-tot"]:
                return Ruling(
                    grounds=f"{'; '.join(row['grondslag'])} ({row['convenant']})",
                    destroy_by=today + timedelta(days=row["bewaartermijn-dagen"]),
                    categories=frozenset(map(Wgs, row["categorieen"])),
                )
        raise NotAllowed(f"Geen geldige regel voor {kind} van {sender.role} naar {receiver.role}.")


def strip(bericht: Bericht, categories: frozenset[Wgs]) -> tuple[Bericht, tuple[Loss, ...]]:
    """
    The message without what the categories do not cover, and what was removed: paths, no values.

    Raises:
        NotAllowed: a field without which the message makes no sense would have to go.
    """
    everything = {Wgs.VRIJE_TEKST} if categories >= ABOUT_PERSONS else set()
    removed: dict[Loss, None] = {}
    data = _strip(bericht.data, {Wgs.GEEN, *categories, *everything}, "data", removed)
    return bericht.model_copy(update={"data": data}), tuple(removed)


def _strip(part: Deel, allowed: Collection[str], at: str, removed: dict[Loss, None]) -> Deel:
    reasons = dict(part.geen_waarde)
    update: dict[str, Any] = {"geen_waarde": reasons}
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if name == "geen_waarde" or value is None or value == ():
            continue
        alias = field.alias or name
        path, category = f"{at}.{alias}", categorie(field)
        if category not in allowed:
            if field.is_required():
                raise NotAllowed("De ontvanger mag een verplicht veld niet krijgen.", path=path)
            update[name] = field.default
            reasons[alias] = GeenWaarde.NIET_GEAUTORISEERD
            removed[Loss(path, category, "weg", GeenWaarde.NIET_GEAUTORISEERD.value)] = None
        elif isinstance(value, Deel):
            update[name] = _strip(value, allowed, path, removed)
        elif isinstance(value, tuple) and isinstance(value[0], Deel):
            update[name] = tuple(_strip(item, allowed, path, removed) for item in value)
    return part.model_copy(update=update)


def _typed(row: Any, keys: Keys, place: str) -> None:
    """
    A table with exactly these keys, each of its type and not empty.

    Compared by `type`, because in Python a `bool` is an `int` and a moment is a `date`.
    """
    if not isinstance(row, dict) or (odd := sorted(row.keys() ^ keys.keys())):
        what = f"{odd[0]} is missing or unknown" if isinstance(row, dict) else "not a table"
        raise MappingInvalid(f"doelbinding {place}: {what}")
    for key, kind in keys.items():
        if type(row[key]) is not kind or row[key] in ("", [], {}):
            raise MappingInvalid(f"doelbinding {place}: {key} is empty or no {kind.__name__}")


def _known(names: Collection[Any], known: Collection[str], place: str) -> None:
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise MappingInvalid(f"doelbinding {place}: unknown {name!r}")
