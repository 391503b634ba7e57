"""Context information on a known person and the advice of the ZVH, for who decides (ZSM, VT)."""

from typing import Annotated, ClassVar

from pydantic import Field

from gateway.model.bekendheid import Uitslag, Verzoek
from gateway.model.envelop import Deel, Inhoud
from gateway.model.nummers import Base64
from gateway.model.personen import VRIJ
from gateway.model.waarden import Wgs, wgs


class SpecifiekeVraag(Deel):
    """A question by code, from a list that the asker and the ZVH share."""

    code: str = wgs(Wgs.GEEN)


class Informatieverzoek(Verzoek):
    """A question about one person, beyond whether the person is known."""

    omschrijving: str | None = wgs(VRIJ, default=None)
    vragen: tuple[SpecifiekeVraag, ...] = wgs(Wgs.GEEN, default=())


class Casusinformatieverzoek(Inhoud):
    """Document vciDi01. Only after a positive bekendheidsuitslag (Wgs art. 2.28)."""

    soort: ClassVar[str] = "casusinformatieverzoek"

    verzoek: Informatieverzoek = wgs(Wgs.GEEN)

    def zaak(self) -> str | None:
        return self.verzoek.identificatie


class Antwoord(Deel):
    """The answer to a specifieke vraag."""

    code: str = wgs(Wgs.GEEN)
    antwoord: str | None = wgs(VRIJ, default=None)


class Bijlage(Deel):
    """A document that travels inside the message, or the link to it."""

    naam: str | None = wgs(VRIJ, default=None)
    bestandsnaam: str | None = wgs(VRIJ, default=None)
    mediatype: str | None = wgs(Wgs.GEEN, default=None)
    toelichting: str | None = wgs(VRIJ, default=None)
    link: str | None = wgs(VRIJ, default=None)
    inhoud: Base64 | None = wgs(VRIJ, default=None)


class Informatie(Uitslag):
    """What the ZVH knows of one person, and advises."""

    toelichting: str | None = wgs(VRIJ, default=None)
    webadres: str | None = wgs(VRIJ, default=None)
    antwoorden: tuple[Antwoord, ...] = wgs(Wgs.GEEN, default=())
    bijlagen: tuple[Bijlage, ...] = wgs(VRIJ, default=())


class Casusinformatie(Inhoud):
    """Document uciDi01: the answer to a casusinformatieverzoek."""

    soort: ClassVar[str] = "casusinformatie"

    informatie: Annotated[tuple[Informatie, ...], Field(min_length=1)] = wgs(Wgs.GEEN)
    antwoorden: ClassVar[str] = "informatie"

    def zaak(self) -> str | None:
        return self.informatie[0].verzoekidentificatie
