"""The canonical message: a CloudEvent 1.0 after the NL GOV profile, around one canonical kind."""

from typing import ClassVar, Literal, Self
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, model_validator
from pydantic.alias_generators import to_camel

from gateway.model.waarden import GeenWaarde, Moment, Wgs, onjuist, wgs

TYPE_PREFIX = "nl.zvh."


class Deel(BaseModel):
    """
    Base of everything in `data`: frozen, nothing extra, camelCase in JSON.

    `geen_waarde` tells apart what is absent and what is known to have no value: it maps the JSON
    name of an absent field of this object to the reason.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    geen_waarde: dict[str, GeenWaarde] = Field(
        default_factory=dict, json_schema_extra={"wgs": Wgs.GEEN.value}
    )

    @model_validator(mode="after")
    def _reasons_name_absent_fields(self) -> Self:
        if self.geen_waarde:
            names = {f.alias or n: n for n, f in type(self).model_fields.items()}
            for name in self.geen_waarde:
                if name not in names or getattr(self, names[name]) not in (None, ()):
                    raise onjuist("geenWaarde noemt alleen velden zonder waarde.")
        return self


class Systeem(Deel):
    """A system as StUF names it: who wrote the document, or for whom it was written."""

    organisatie: str = wgs(Wgs.GEEN)
    applicatie: str = wgs(Wgs.GEEN)
    administratie: str | None = wgs(Wgs.GEEN, default=None)
    gebruiker: str | None = wgs(Wgs.IDENTIFICEREND, default=None)


class Inhoud(Deel):
    """Base of a canonical kind: what the `data` of a message holds."""

    soort: ClassVar[str]
    """Name of the kind, kebab-case."""

    antwoorden: ClassVar[str] = ""
    """The list in which answers of several systems to one question are joined."""

    afzender: Systeem = wgs(Wgs.GEEN)
    ontvanger: Systeem = wgs(Wgs.GEEN)

    def zaak(self) -> str | None:
        """The sender's case id, by which messages stay in order; None when there is none."""
        return None

    def terugkeerdatum(self) -> str | None:
        """The day of a return that may be told only so long beforehand; None for most kinds."""
        return None

    def gemeenten(self) -> tuple[str, ...]:
        """The codes of the gemeenten it is about, by which it is routed when it names no house."""
        return ()

    def rollen(self) -> frozenset[str] | None:
        """The roles it is meant for; None when its kind alone tells."""
        return None

    def herroept(self) -> str | None:
        """The id, at the same sender, of the message that this one takes the place of."""
        return None


class Bericht(BaseModel):
    """
    One canonical message. Attribute names are those of CloudEvents: lower case, no separators.

    Context attributes never hold personal data (NL GOV profile for CloudEvents §5); `id` is unique
    per `source` and never reused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1, max_length=40)  # StUF Refnummer has room for 40
    source: str = Field(min_length=1, max_length=4000)
    type: str
    time: Moment
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str | None = None
    subject: str | None = Field(default=None, max_length=100)
    conversatieid: str | None = Field(default=None, max_length=100)
    antwoordop: str | None = Field(default=None, max_length=40)
    huis: str | None = Field(default=None, max_length=40)
    traceparent: str | None = Field(default=None, max_length=55)
    data: SerializeAsAny[Inhoud]

    @property
    def soort(self) -> str:
        """The canonical kind, e.g. `bekendheidsverzoek`."""
        return kind_of(self.type)


def type_of(kind: str) -> str:
    """CloudEvents `type` of a kind: `nl.zvh.<kind>.v1`."""
    return f"{TYPE_PREFIX}{kind}.v1"


def kind_of(event_type: str) -> str:
    """The kind in a CloudEvents `type`; empty when it is not one of ours."""
    if event_type.startswith(TYPE_PREFIX) and event_type.endswith(".v1"):
        return event_type[len(TYPE_PREFIX) : -3]
    return ""


def source_of(oin: str, systeem: str) -> str:
    """CloudEvents `source` of a system: `urn:nld:oin:<OIN>:systeem:<naam>`, percent-encoded."""
    return f"urn:nld:oin:{quote(oin, safe='')}:systeem:{quote(systeem, safe='')}"


def source_oin(source: str) -> str:
    """The organisation in a `source`; empty when it has another form."""
    parts = source.split(":")
    return unquote(parts[3]) if len(parts) == 6 and source.startswith("urn:nld:oin:") else ""
