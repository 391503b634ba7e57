"""Doelbinding: who may share what with whom, on which ground. Default deny."""

import re
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, model_validator

from gateway.errors import MappingInvalid, NotAllowed
from gateway.model import SOORTEN
from gateway.model.envelop import Bericht, Deel
from gateway.model.partner import Partner
from gateway.model.toml import Part, Text, explain
from gateway.model.velden import categorie, velden
from gateway.model.waarden import GeenWaarde, Wgs
from gateway.ports import Loss

ROLES = """om politie dji justid veilig-thuis rvdk reclassering
    zvh gemeente gcos landelijk ggz""".split()  # noqa: SIM905 (a list of words reads best as words)
"""Every role a partner can have: who works with a Zorg- en Veiligheidshuis (BGS art. 2.19)."""

ABOUT_PERSONS = frozenset(Wgs) - {Wgs.GEEN, Wgs.VRIJE_TEKST}
"""The categories a rule can name: the closed list of Wgs art. 2.30(1)(a)."""

FLAGS = ("nationaliteit", "skn", "strafbepaling", "melder")
"""Marks of fields (metadata in the model) that pass only where a rule says so."""

_INDEX = re.compile(r"\[[0-9]+\]")

MAX_RETENTION_DAYS = 5 * 365  # Wgs art. 1.8(7): at most five years after first processing


def _one_of(names: Collection[str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"has the unknown {name!r}")
        return name

    return AfterValidator(check)


Kind = Annotated[str, _one_of(SOORTEN)]
Role = Annotated[str, _one_of(ROLES)]
Category = Annotated[str, _one_of(ABOUT_PERSONS)]


class KindRow(Part, strict=True):
    """
    One `[soort.<kind>]`: whether it keeps its order per zaak, and which question it answers (`*`: any).

    `mandaat`: for the houses whose procesregisseur the burgemeester mandated. `samen_uren`: answers
    of several systems are joined into one, after so many hours without those that did not come.
    """

    volgorde: bool
    antwoord_op: Kind | Literal["*"] | None = None
    mandaat: bool = False
    samen_uren: PositiveFloat | None = None


class Rule(Part, strict=True):
    """
    One `[[regel]]`: between roles, while its convenant is in force.

    With `alle` every category passes, and so free text. `moet_aankomen` names canonical fields: a
    message that would arrive without one is refused, or said in another dialect. The others open
    what stays closed else: mappings/doelbinding.toml says what each is for.
    """

    soort: list[Kind] = Field(min_length=1)
    van: list[Role] = Field(min_length=1)
    naar: list[Role] = Field(min_length=1)
    convenant: Text
    geldig_van: date
    geldig_tot: date
    grondslag: list[Text] = Field(min_length=1)
    categorieen: tuple[Category, ...] = Field((), strict=False)
    alle: bool = False
    moet_aankomen: tuple[str, ...] = Field((), strict=False)
    bewaartermijn_dagen: int = Field(gt=0, le=MAX_RETENTION_DAYS)
    nationaliteit: bool = False
    skn: bool = False
    strafbepaling: bool = False
    melder: bool = False
    vooraf_dagen: int | None = None

    @model_validator(mode="after")
    def _says_what_passes(self) -> Self:
        if self.alle == bool(self.categorieen):
            raise ValueError("a rule has either categorieen or alle")
        fields = [f"{field}." for kind in self.soort for field in velden(SOORTEN[kind])]
        for path in self.moet_aankomen:
            if not any(field.startswith(f"{path}.") for field in fields):
                raise ValueError(f"a rule demands {path!r}, which no kind of it has")
        return self


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rule says of one message for one receiver."""

    grounds: str
    destroy_by: date
    categories: frozenset[Wgs]
    closed: frozenset[str]  # those of FLAGS that do not pass
    not_before: date | None = None  # held until then (Bjsg art. 11a lid 3)
    must: tuple[str, ...] = ()  # fields that must arrive

    def missed(self, lost: Iterable[Loss]) -> str | None:
        """The first field that must arrive and is gone, by itself or with all it is part of."""
        gone = [f"{_INDEX.sub('', entry.path)}." for entry in lost if entry.how == "weg"]
        return next((path for path in self.must if f"{path}.".startswith(tuple(gone))), None)


class Added(Part, strict=True):
    """The `doelbinding.toml` of an installation: rules of its own."""

    regel: list[Rule] = Field(min_length=1)


class Policy(Part, strict=True):
    """A `doelbinding.toml`: of its rules, in order, the first in force for kind and roles decides."""

    soort: dict[Kind, KindRow]
    regel: list[Rule] = Field(min_length=1)

    @classmethod
    def read(cls, text: str) -> Self:
        """
        The policy in the text of the file.

        Raises:
            MappingInvalid: not TOML, an unknown key, kind, role or category, or no rule at all.
        """
        try:
            return cls.model_validate(tomllib.loads(text))
        except ValueError as error:
            raise MappingInvalid(f"doelbinding: {explain(error)}") from None

    def extended(self, text: str) -> Self:
        """
        With the rules in the text of another file, which are asked before these.

        So an installation can allow what only it agreed, and narrow or change what is here.
        Raises MappingInvalid.
        """
        try:
            added = Added.model_validate(tomllib.loads(text))
            return type(self)(soort=self.soort, regel=[*added.regel, *self.regel])
        except ValueError as error:
            raise MappingInvalid(f"doelbinding: {explain(error)}") from None

    @model_validator(mode="after")
    def _rules_can_apply(self) -> Self:
        for rule in self.regel:
            if unknown := sorted(set(rule.soort) - self.soort.keys()):
                raise ValueError(f"a rule is about {unknown[0]}, of which there is no table")
            if rule.geldig_van > rule.geldig_tot:
                raise ValueError(f"a rule ends on {rule.geldig_tot}, before it begins")
        return self

    @property
    def ordered(self) -> frozenset[str]:
        """The kinds that keep their order per zaak."""
        return frozenset(kind for kind, row in self.soort.items() if row.volgorde)

    @property
    def answers(self) -> dict[str, str]:
        """Which kind of question each kind of answer answers."""
        return {kind: row.antwoord_op for kind, row in self.soort.items() if row.antwoord_op}

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
        for rule in self.regel:
            meant = sender.role in rule.van and receiver.role in rule.naar and kind in rule.soort
            if meant and rule.geldig_van <= today <= rule.geldig_tot:
                grounds = f"{'; '.join(rule.grondslag)} ({rule.convenant})"
                destroy_by = today + timedelta(days=rule.bewaartermijn_dagen)
                categories = ABOUT_PERSONS if rule.alle else frozenset(map(Wgs, rule.categorieen))
                closed = {flag for flag in FLAGS if not getattr(rule, flag)}
                held = _held(bericht, rule.vooraf_dagen)
                must = rule.moet_aankomen
                return Ruling(grounds, destroy_by, categories, frozenset(closed), held, must)
        raise NotAllowed(f"Geen geldige regel voor {kind} van {sender.role} naar {receiver.role}.")


def _held(bericht: Bericht, days: int | None) -> date | None:
    """The first day on which the coming return that a message tells of may be told."""
    if days is None or (expected := bericht.data.terugkeerdatum()) is None:
        return None
    return date.fromisoformat(f"{expected}-01-01"[:10]) - timedelta(days=days)


def strip(bericht: Bericht, ruling: Ruling) -> tuple[Bericht, tuple[Loss, ...]]:
    """
    The message without what the ruling does not cover, and what was removed: paths, no values.

    Raises:
        NotAllowed: a field without which the message makes no sense would have to go.
    """
    everything = {Wgs.VRIJE_TEKST} if ruling.categories >= ABOUT_PERSONS else set()
    removed: dict[Loss, None] = {}
    allowed = {Wgs.GEEN, *ruling.categories, *everything}
    data = _strip(bericht.data, allowed, ruling.closed, "data", removed)
    if path := ruling.missed(removed):
        raise NotAllowed("De ontvanger mag niet krijgen waar het bericht om gaat.", path=path)
    return bericht.model_copy(update={"data": data}), tuple(removed)


def _strip(
    part: Deel, allowed: Collection[str], closed: frozenset[str], at: str, removed: dict[Loss, None]
) -> Deel:
    reasons = dict(part.geen_waarde)
    update: dict[str, Any] = {"geen_waarde": reasons}
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if name == "geen_waarde" or value is None or value == ():
            continue
        alias = field.alias or name
        path, category = f"{at}.{alias}", categorie(field)
        if category not in allowed or _marked(part, field, closed):
            if field.is_required():
                raise NotAllowed("De ontvanger mag een verplicht veld niet krijgen.", path=path)
            update[name] = field.default
            reasons[alias] = GeenWaarde.NIET_GEAUTORISEERD
            removed[Loss(path, category, "weg", GeenWaarde.NIET_GEAUTORISEERD.value)] = None
        elif isinstance(value, Deel):
            update[name] = _strip(value, allowed, closed, path, removed)
        elif isinstance(value, tuple) and isinstance(value[0], Deel):
            update[name] = tuple(_strip(item, allowed, closed, path, removed) for item in value)
    return part.model_copy(update=update)


def _marked(part: Deel, field: Any, closed: frozenset[str]) -> bool:
    """Whether a field bears a mark that is closed; `melder` only on who reported."""
    marks = closed & field.json_schema_extra.keys()
    return bool(marks - {"melder"}) or ("melder" in marks and getattr(part, "rol", "") == "melder")
