"""Is this person known to a Zorg- en Veiligheidshuis? The question and its answer (Wgs art. 2.28)."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from gateway.model.envelop import Deel, Inhoud
from gateway.model.waarden import Bsn, Deeldatum, Vnummer, Wgs, wgs

ID = Wgs.IDENTIFICEREND


class ExtraElement(Deel):
    """Something two systems agreed on outside the standard; free text, so every category."""

    naam: str = wgs(Wgs.VRIJE_TEKST)
    waarde: str | None = wgs(Wgs.VRIJE_TEKST, default=None)


Extra = tuple[ExtraElement, ...]


class Contactpersoon(Deel):
    """Whom to call at an organisation."""

    naam: str | None = wgs(ID, default=None)
    telefoonnummer: str | None = wgs(ID, default=None)
    emailadres: str | None = wgs(ID, default=None)
    extra: Extra = wgs(Wgs.VRIJE_TEKST, default=())


class Organisatie(Deel):
    """A part of an organisation that asks or answers."""

    identificatie: str | None = wgs(Wgs.GEEN, default=None)
    naam: str | None = wgs(Wgs.GEEN, default=None)
    contactpersoon: Contactpersoon | None = wgs(ID, default=None)
    extra: Extra = wgs(Wgs.VRIJE_TEKST, default=())


class Persoon(Deel):
    """Enough of a person to establish whether it is the same one. A person may have no BSN."""

    bsn: Bsn | None = wgs(Wgs.BSN, default=None)
    vnummer: Vnummer | None = wgs(ID, default=None)
    geslachtsnaam: str | None = wgs(ID, default=None)
    voorvoegsel: str | None = wgs(ID, default=None)
    voorletters: str | None = wgs(ID, default=None)
    voornamen: str | None = wgs(ID, default=None)
    geboortedatum: Deeldatum | None = wgs(ID, default=None)
    extra: Extra = wgs(Wgs.VRIJE_TEKST, default=())


class SoortVerzoeker(StrEnum):
    """In which role the question is asked (StUF-JZ SoortVerzoeker)."""

    LANDELIJK_RAADPLEGER = "landelijk-raadpleger"
    ZSM_RAADPLEGER = "zsm-raadpleger"
    MEDEWERKER_OM = "medewerker-om"
    PROCESREGISSEUR_ZVH = "procesregisseur-zvh"
    MEDEWERKER_VT = "medewerker-vt"


class RedenVerzoek(StrEnum):
    """Why the question is asked (StUF-JZ RedenMelding)."""

    VERRIJKING_VT_MELDING = "verrijking-vt-melding"
    VERRIJKING_ZVH_MELDING = "verrijking-zvh-melding"
    BASISTAKEN_ZVH = "bekendheid-basistaken-zvh"
    PLUSTAKEN_ZVH = "bekendheid-plustaken-zvh"
    RADICALISERING = "bekendheid-radicalisering"
    AFDOENING_OM = "bekendheid-afdoening-om"


class Verzoek(Deel):
    """One question about one person."""

    identificatie: str = wgs(Wgs.GEEN)
    soort_verzoeker: SoortVerzoeker = wgs(Wgs.GEEN)
    reden: RedenVerzoek | None = wgs(Wgs.GEEN, default=None)
    persoon: Persoon | None = wgs(ID, default=None)
    aanvrager: Organisatie | None = wgs(Wgs.GEEN, default=None)
    extra: Extra = wgs(Wgs.VRIJE_TEKST, default=())


class Bekendheidsverzoek(Inhoud):
    """Is this person known? Document vcobDi01."""

    soort: ClassVar[str] = "bekendheidsverzoek"

    verzoek: Verzoek = wgs(Wgs.GEEN)

    def zaak(self) -> str | None:
        return self.verzoek.identificatie


class Uitslag(Deel):
    """One answer about one person; `verzoekidentificatie` repeats the asker's own case id."""

    identificatie: str = wgs(Wgs.GEEN)
    verzoekidentificatie: str = wgs(Wgs.GEEN)
    bekend: bool = wgs(ID)
    persoon: Persoon | None = wgs(ID, default=None)
    aanvrager: Organisatie | None = wgs(Wgs.GEEN, default=None)
    uitvoerende: Organisatie | None = wgs(Wgs.GEEN, default=None)
    extra: Extra = wgs(Wgs.VRIJE_TEKST, default=())


class Bekendheidsuitslag(Inhoud):
    """The answer to a bekendheidsverzoek. Document ucobDi01."""

    soort: ClassVar[str] = "bekendheidsuitslag"

    uitslagen: Annotated[tuple[Uitslag, ...], Field(min_length=1)] = wgs(Wgs.GEEN)
    antwoorden: ClassVar[str] = "uitslagen"

    def zaak(self) -> str | None:
        return self.uitslagen[0].verzoekidentificatie
