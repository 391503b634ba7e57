"""
What DJI and Justid tell about detainees: return (BIJ), terms, re-integration plan and risk.

Four grounds, four kinds: Bjsg art. 11a (bij-melding), Wjsg art. 51c (detentiegegevens), Pbw art. 18a
(dr-plan) and Pbw art. 18b (risico-informatie).
"""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from gateway.model.bekendheid import Organisatie
from gateway.model.envelop import Deel, Inhoud
from gateway.model.lijsten import Lijst
from gateway.model.nummers import Gemeentecode, Parketnummer, Skn
from gateway.model.personen import ID, VRIJ, Adres, Natuurlijkpersoon
from gateway.model.waarden import Deeldatum, Wgs, onjuist, wgs

JUSTITIE, GEEN = Wgs.JUSTITIE, Wgs.GEEN

Terugkeersoort = Annotated[str, Lijst("terugkeer")]
Titel = Annotated[str, Lijst("detentietitel")]
Basisvoorwaardesoort = Annotated[str, Lijst("basisvoorwaarde")]
Basisvoorwaardestand = Annotated[str, Lijst("basisvoorwaardestand")]
Risicosoort = Annotated[str, Lijst("risico")]
Weging = Annotated[str, Lijst("weging")]


def _beide(*gemeenten: str | None) -> tuple[str, ...]:
    return tuple(gemeente for gemeente in gemeenten if gemeente)


class Terugkeer(Deel):
    """When, how and where somebody comes back. BIJ: at most three months ahead (Bjsg 11a(3))."""

    soort: Terugkeersoort = wgs(JUSTITIE)
    datum: Deeldatum = wgs(JUSTITIE)
    tot: Deeldatum | None = wgs(JUSTITIE, default=None)
    adres: Adres | None = wgs(ID, default=None)


class Uitspraak(Deel):
    """The judicial decision a detention rests on (Bjsg art. 7(1) a-j)."""

    parketnummer: Parketnummer = wgs(JUSTITIE)
    gerecht: str | None = wgs(JUSTITIE, default=None)
    datum: Deeldatum | None = wgs(JUSTITIE, default=None)
    onherroepelijk: Deeldatum | None = wgs(JUSTITIE, default=None)
    einde_proeftijd: Deeldatum | None = wgs(JUSTITIE, default=None)
    kwalificatie: str | None = wgs(JUSTITIE, default=None)
    strafbepalingen: str | None = wgs(JUSTITIE, default=None, strafbepaling=True)
    inhoud: str | None = wgs(VRIJ, default=None)
    voorwaarden: str | None = wgs(VRIJ, default=None)
    pleegdatum: Deeldatum | None = wgs(JUSTITIE, default=None)
    pleegdatum_tot: Deeldatum | None = wgs(JUSTITIE, default=None)


class Detentie(Deel):
    """Where somebody is detained, on what title and until when."""

    inrichting: str | None = wgs(JUSTITIE, default=None)
    bestemming: str | None = wgs(JUSTITIE, default=None)
    titel: Titel | None = wgs(JUSTITIE, default=None)
    begin: Deeldatum | None = wgs(JUSTITIE, default=None)
    einde: Deeldatum | None = wgs(JUSTITIE, default=None)


class Terugkeerbericht(Deel):
    """The contents of a bij-melding; a correctie repeats it whole."""

    identificatie: str = wgs(GEEN)
    gemeente: Gemeentecode = wgs(ID)
    tweede_gemeente: Gemeentecode | None = wgs(ID, default=None)
    persoon: Natuurlijkpersoon = wgs(GEEN)
    terugkeer: Terugkeer = wgs(GEEN)
    uitspraken: tuple[Uitspraak, ...] = wgs(GEEN, default=())
    detentie: Detentie | None = wgs(GEEN, default=None)
    toelichting: str | None = wgs(VRIJ, default=None)

    def gemeenten(self) -> tuple[str, ...]:
        return _beide(self.gemeente, self.tweede_gemeente)


class BijMelding(Inhoud):
    """The coming return of a detainee, for the burgemeester (Bjsg art. 11a)."""

    soort: ClassVar[str] = "bij-melding"

    melding: Terugkeerbericht = wgs(GEEN)

    def zaak(self) -> str | None:
        return self.melding.identificatie

    def terugkeerdatum(self) -> str | None:
        return self.melding.terugkeer.datum

    def gemeenten(self) -> tuple[str, ...]:
        return self.melding.gemeenten()


class BijWeging(Inhoud):
    """What the burgemeester made of a bij-melding."""

    soort: ClassVar[str] = "bij-weging"

    identificatie: str = wgs(GEEN)
    uitkomst: Weging = wgs(Wgs.TOEZICHT)
    gewogen_op: Deeldatum = wgs(GEEN)
    maatregelen: str | None = wgs(VRIJ, default=None)
    contact: Organisatie | None = wgs(ID, default=None)

    def zaak(self) -> str | None:
        return self.identificatie


class Detentiegegevens(Inhoud):
    """
    Exactly the set of Wjsg art. 51c(2), the only one that takes the SKN out of the chain.

    `identificatie` is no SKN, so that a reference to this message does not tell it.
    """

    soort: ClassVar[str] = "detentiegegevens"

    identificatie: str = wgs(GEEN)
    skn: Skn = wgs(JUSTITIE)
    geslachtsnaam: str = wgs(ID)
    geboortedatum: Deeldatum = wgs(ID)
    gemeente: Gemeentecode = wgs(ID)
    detentie: Detentie = wgs(GEEN)

    def zaak(self) -> str | None:
        return self.identificatie

    def gemeenten(self) -> tuple[str, ...]:
        return (self.gemeente,)


class Basisvoorwaarde(Deel):
    """One of the five basisvoorwaarden for a return (Pm art. 20b)."""

    soort: Basisvoorwaardesoort = wgs(GEEN)
    stand: Basisvoorwaardestand = wgs(Wgs.VOORZIENINGEN)
    toelichting: str | None = wgs(VRIJ, default=None)
    actie: str | None = wgs(VRIJ, default=None)
    belegd_bij: Organisatie | None = wgs(ID, default=None)
    gereed_op: Deeldatum | None = wgs(Wgs.VOORZIENINGEN, default=None)


def _alle_vijf(value: tuple[Basisvoorwaarde, ...]) -> tuple[Basisvoorwaarde, ...]:
    if len({one.soort for one in value}) < 5:
        raise onjuist("Elk van de vijf basisvoorwaarden staat er een keer.")
    return value


Basisvoorwaarden = Annotated[
    tuple[Basisvoorwaarde, ...], Field(min_length=5, max_length=5), AfterValidator(_alle_vijf)
]


class DrPlan(Inhoud):
    """The detention and re-integration plan as shared with the college (Pbw art. 18a)."""

    soort: ClassVar[str] = "dr-plan"

    identificatie: str = wgs(GEEN)
    versie: str | None = wgs(GEEN, default=None)
    opgesteld_op: Deeldatum = wgs(GEEN)
    gemeente: Gemeentecode = wgs(ID)
    tweede_gemeente: Gemeentecode | None = wgs(ID, default=None)
    persoon: Natuurlijkpersoon = wgs(GEEN)
    detentie: Detentie = wgs(GEEN)
    basisvoorwaarden: Basisvoorwaarden = wgs(GEEN)
    casemanager: Organisatie | None = wgs(ID, default=None)
    toelichting: str | None = wgs(VRIJ, default=None)

    def zaak(self) -> str | None:
        return self.identificatie

    def gemeenten(self) -> tuple[str, ...]:
        return _beide(self.gemeente, self.tweede_gemeente)


class RisicoInformatie(Inhoud):
    """A risk that a detainee commits a serious violent or sexual crime (Pbw art. 18b)."""

    soort: ClassVar[str] = "risico-informatie"

    identificatie: str = wgs(GEEN)
    gemeente: Gemeentecode = wgs(ID)
    persoon: Natuurlijkpersoon = wgs(GEEN)
    detentie: Detentie | None = wgs(GEEN, default=None)
    terugkeer: Terugkeer | None = wgs(GEEN, default=None)
    risico: Risicosoort = wgs(JUSTITIE)
    omschrijving: str | None = wgs(VRIJ, default=None)
    advies: str | None = wgs(VRIJ, default=None)
    vastgesteld_op: Deeldatum = wgs(GEEN)

    def zaak(self) -> str | None:
        return self.identificatie

    def gemeenten(self) -> tuple[str, ...]:
        return (self.gemeente,)
