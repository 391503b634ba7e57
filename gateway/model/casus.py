"""A whole casus of a Zorg- en Veiligheidshuis, as it migrates and as it is shared."""

from typing import Annotated, ClassVar

from gateway.model.bekendheid import Contactpersoon, Organisatie
from gateway.model.casusinformatie import Bijlage
from gateway.model.envelop import Deel, Inhoud
from gateway.model.lijsten import Lijst
from gateway.model.melding import Criterium, Leefgebied, Leefgebiedcode
from gateway.model.nummers import Gemeentecode
from gateway.model.personen import ID, VRIJ, Natuurlijkpersoon, Relatie
from gateway.model.waarden import Deeldatum, Tijdstip, Wgs, wgs

GEEN, HULP = Wgs.GEEN, Wgs.HULPVERLENING

Thema = Annotated[str, Lijst("thema")]
Casusstatus = Annotated[str, Lijst("casusstatus")]
Vertrouwelijkheid = Annotated[str, Lijst("vertrouwelijkheid")]
Casusrol = Annotated[str, Lijst("casusrol")]
Deelnemerrol = Annotated[str, Lijst("deelnemerrol")]
Isdfase = Annotated[str, Lijst("isdfase")]
Actiestatus = Annotated[str, Lijst("actiestatus")]
Overlegsoort = Annotated[str, Lijst("overlegsoort")]
Documentsoort = Annotated[str, Lijst("documentsoort")]
Triagebesluit = Annotated[str, Lijst("triagebesluit")]


class Casuslid(Deel):
    """
    Somebody the casus is about (hoofdpersoon, gezinslid) or of the directe kring (BGS art. 2.19);
    without `rol` where the partner does not say which (SOH).
    """

    sleutel: str = wgs(GEEN)
    rol: Casusrol | None = wgs(Wgs.RELATIES, default=None)
    relatie: Relatie | None = wgs(Wgs.RELATIES, default=None)
    persoon: Natuurlijkpersoon = wgs(GEEN)


class Deelnemer(Deel):
    """An organisation that takes part, with whom to speak."""

    sleutel: str = wgs(GEEN)
    organisatie: Organisatie = wgs(GEEN)
    rol: Deelnemerrol = wgs(GEEN)
    van: Deeldatum | None = wgs(GEEN, default=None)
    tot: Deeldatum | None = wgs(GEEN, default=None)
    geheimhouding: bool | None = wgs(GEEN, default=None)


class Overleg(Deel):
    """A meeting about the casus."""

    identificatie: str = wgs(GEEN)
    soort: Overlegsoort | None = wgs(GEEN, default=None)
    begin: Tijdstip | None = wgs(GEEN, default=None)
    einde: Tijdstip | None = wgs(GEEN, default=None)
    notulen: str | None = wgs(VRIJ, default=None)


class Besluit(Deel):
    """What a meeting decided."""

    identificatie: str = wgs(GEEN)
    overleg: str | None = wgs(GEEN, default=None)
    genomen_op: Deeldatum | None = wgs(GEEN, default=None)
    omschrijving: str | None = wgs(VRIJ, default=None)


class Actie(Deel):
    """What somebody does because of a meeting; `betrokkene` is the sleutel of a casuslid."""

    identificatie: str = wgs(GEEN)
    overleg: str | None = wgs(GEEN, default=None)
    omschrijving: str | None = wgs(VRIJ, default=None)
    conditie: str | None = wgs(VRIJ, default=None)
    informering: str | None = wgs(VRIJ, default=None)
    betrokkene: str | None = wgs(GEEN, default=None)
    belegd_bij: Organisatie | None = wgs(ID, default=None)
    termijn: Deeldatum | None = wgs(GEEN, default=None)
    status: Actiestatus | None = wgs(HULP, default=None)
    gereed_op: Deeldatum | None = wgs(HULP, default=None)


class Plandoel(Deel):
    """What the plan aims at on one leefgebied."""

    leefgebied: Leefgebiedcode = wgs(HULP)
    situatie: str | None = wgs(VRIJ, default=None)
    doel: str | None = wgs(VRIJ, default=None)
    resultaat: str | None = wgs(VRIJ, default=None)


class PlanVanAanpak(Deel):
    """The integral plan of the casus."""

    opgesteld_op: Deeldatum | None = wgs(GEEN, default=None)
    evaluatie_op: Deeldatum | None = wgs(GEEN, default=None)
    doelstelling: str | None = wgs(VRIJ, default=None)
    doelen: tuple[Plandoel, ...] = wgs(GEEN, default=())


class Isd(Deel):
    """A phase of the maatregel Inrichting voor Stelselmatige Daders."""

    fase: Isdfase = wgs(Wgs.JUSTITIE)
    begin: Deeldatum | None = wgs(Wgs.JUSTITIE, default=None)
    einde: Deeldatum | None = wgs(Wgs.JUSTITIE, default=None)


class Document(Bijlage):
    """A document of the casus: what it is, and its bytes when they travel along."""

    identificatie: str = wgs(GEEN)
    soort: Documentsoort | None = wgs(GEEN, default=None)
    datum: Deeldatum | None = wgs(GEEN, default=None)
    omvang: str | None = wgs(GEEN, default=None)
    sha256: str | None = wgs(GEEN, default=None)


class Gebeurtenis(Deel):
    """One line of the history of the casus."""

    tijdstip: Tijdstip = wgs(GEEN)
    wat: str | None = wgs(VRIJ, default=None)
    door: str | None = wgs(ID, default=None)
    status: Casusstatus | None = wgs(HULP, default=None)


class Casusgegevens(Deel):
    """
    The casus itself. `eerst_verwerkt_op` starts the retention term (Wgs art. 1.8(7)).

    `vertrouwelijkheid` is raised for weegploeg radicalisering and zorgcoördinatie mensenhandel.
    `bewaren_tot` is there only when the term was prolonged (BGS art. 1.16). `voorwaarden` are what
    a deelnemer attached to passing its data on (Wgs art. 2.29).
    """

    casusnummer: str = wgs(GEEN)
    thema: Thema = wgs(HULP)
    status: Casusstatus = wgs(HULP)
    vertrouwelijkheid: Vertrouwelijkheid = wgs(GEEN)
    gemeente: Gemeentecode | None = wgs(ID, default=None)
    aangemeld_op: Deeldatum | None = wgs(GEEN, default=None)
    gestart_op: Deeldatum | None = wgs(GEEN, default=None)
    gesloten_op: Deeldatum | None = wgs(GEEN, default=None)
    eerst_verwerkt_op: Deeldatum = wgs(GEEN)
    bewaren_tot: Deeldatum | None = wgs(GEEN, default=None)
    aanmelder: Organisatie | None = wgs(GEEN, default=None)
    procesregisseur: Contactpersoon | None = wgs(ID, default=None)
    casusregisseur: Organisatie | None = wgs(ID, default=None)
    samenvatting: str | None = wgs(VRIJ, default=None)
    voorwaarden: str | None = wgs(VRIJ, default=None)
    triage: tuple[Criterium, ...] = wgs(GEEN, default=())
    triagebesluit: Triagebesluit | None = wgs(HULP, default=None)


class Casus(Inhoud):
    """Documents of gcos/1.0 and gcos-csv/1; landelijk/1.0."""

    soort: ClassVar[str] = "casus"

    casus: Casusgegevens = wgs(GEEN)
    leden: tuple[Casuslid, ...] = wgs(GEEN, default=())
    deelnemers: tuple[Deelnemer, ...] = wgs(GEEN, default=())
    leefgebieden: tuple[Leefgebied, ...] = wgs(GEEN, default=())
    overleggen: tuple[Overleg, ...] = wgs(GEEN, default=())
    besluiten: tuple[Besluit, ...] = wgs(GEEN, default=())
    acties: tuple[Actie, ...] = wgs(GEEN, default=())
    plan: PlanVanAanpak | None = wgs(GEEN, default=None)
    isd: tuple[Isd, ...] = wgs(GEEN, default=())
    documenten: tuple[Document, ...] = wgs(GEEN, default=())
    historie: tuple[Gebeurtenis, ...] = wgs(GEEN, default=())
    migratie: bool | None = wgs(GEEN, default=None)

    def zaak(self) -> str | None:
        return self.casus.casusnummer

    def gemeenten(self) -> tuple[str, ...]:
        return (self.casus.gemeente,) if self.casus.gemeente else ()


class UitkomstOverleg(Inhoud):
    """What came of one casusoverleg: besluiten and acties (SOH UitkomstOverleg)."""

    soort: ClassVar[str] = "uitkomst-overleg"

    casusnummer: str = wgs(GEEN)
    startdatum: Deeldatum | None = wgs(GEEN, default=None)
    overleg: Overleg = wgs(GEEN)
    leden: tuple[Casuslid, ...] = wgs(GEEN, default=())
    besluiten: tuple[Besluit, ...] = wgs(GEEN, default=())
    acties: tuple[Actie, ...] = wgs(GEEN, default=())

    def zaak(self) -> str | None:
        return self.casusnummer
