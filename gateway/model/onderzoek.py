"""A request to the Raad voor de Kinderbescherming (Jeugdwet art. 2.4), and what came of it."""

from typing import Annotated, ClassVar

from gateway.model.bekendheid import Contactpersoon, Extra, Organisatie, Persoon
from gateway.model.casusinformatie import Bijlage
from gateway.model.envelop import Deel, Inhoud
from gateway.model.lijsten import Lijst
from gateway.model.personen import (
    ID,
    VRIJ,
    Binnenland,
    Buitenland,
    Contactmiddel,
    Geslacht,
    Jeugdrol,
)
from gateway.model.waarden import Deeldatum, Tijdstip, Wgs, wgs

GEEN, HULP = Wgs.GEEN, Wgs.HULPVERLENING

Clientsoort = Annotated[str, Lijst("client")]
Stuksoort = Annotated[str, Lijst("vto-document")]
Vertrouwelijkaanduiding = Annotated[str, Lijst("vertrouwelijkaanduiding")]
Gebied = Annotated[str, Lijst("notificatie")]
Onderzoekresultaat = Annotated[str, Lijst("onderzoekresultaat")]
Onderzoekstand = Annotated[str, Lijst("onderzoekstatus")]


class Woonplaats(Deel):
    """A place as the BAG knows it."""

    code: str | None = wgs(ID, default=None)
    naam: str | None = wgs(ID, default=None)


class Bagadres(Binnenland):
    """A Dutch address with its numbers in the BAG, where the register gave them."""

    nummeraanduiding: str | None = wgs(ID, default=None)
    woonplaatscode: str | None = wgs(ID, default=None)
    gelegen_in: Woonplaats | None = wgs(ID, default=None)
    gemeentelijke_openbare_ruimte: str | None = wgs(ID, default=None)
    openbare_ruimte: str | None = wgs(ID, default=None)
    straat_kort: str | None = wgs(ID, default=None)
    locatie: str | None = wgs(ID, default=None)
    sinds: Deeldatum | None = wgs(ID, default=None)


class Gezinslid(Persoon):
    """
    A child, or somebody around a child. Of an unborn child there may be nothing but a name, or the
    data of its mother; twins are two of them, alike as they may be.
    """

    geslacht: Geslacht | None = wgs(ID, default=None)
    adressen: tuple[Bagadres, ...] = wgs(ID, default=())
    adressen_buitenland: tuple[Buitenland, ...] = wgs(ID, default=())
    contactmiddelen: tuple[Contactmiddel, ...] = wgs(ID, default=())


class Client(Deel):
    """The children of one sort (born, unborn, jeugdige) that the message is about."""

    soort: Clientsoort = wgs(ID)
    kinderen: tuple[Gezinslid, ...] = wgs(GEEN, default=())


class Belanghebbende(Deel):
    """Who has a role around the child; in several roles, the same person stands in it again."""

    persoon: Gezinslid | None = wgs(GEEN, default=None, melder=True)
    organisatie: Organisatie | None = wgs(GEEN, default=None)
    code: str | None = wgs(GEEN, default=None)
    rol: Jeugdrol = wgs(Wgs.RELATIES)


class Medewerker(Deel):
    """Who handles the request at the organisation that makes it."""

    identificatie: str | None = wgs(ID, default=None)
    achternaam: str = wgs(ID)
    voorletters: str | None = wgs(ID, default=None)
    voorvoegsel: str | None = wgs(ID, default=None)
    roepnaam: str | None = wgs(ID, default=None)
    geslacht: Geslacht | None = wgs(ID, default=None)
    functie: str | None = wgs(ID, default=None)
    telefoonnummer: str | None = wgs(ID, default=None)
    emailadres: str | None = wgs(ID, default=None)


class Behandeling(Deel):
    """Who makes the request. vtoDi01 wants two in all: in practice one of each."""

    omschrijving: str | None = wgs(VRIJ, default=None)
    medewerkers: tuple[Medewerker, ...] = wgs(ID, default=())
    organisaties: tuple[Organisatie, ...] = wgs(GEEN, default=())


class Stuk(Bijlage):
    """A document of the request: the request itself, or what supports it; `naam` is its title."""

    identificatie: str | None = wgs(GEEN, default=None)
    soort: Stuksoort | None = wgs(GEEN, default=None)
    soort_omschrijving: str | None = wgs(VRIJ, default=None)
    datum: Deeldatum | None = wgs(GEEN, default=None)
    taal: str | None = wgs(GEEN, default=None)
    status: str | None = wgs(GEEN, default=None)
    vertrouwelijkheid: Vertrouwelijkaanduiding | None = wgs(GEEN, default=None)
    auteur: str | None = wgs(ID, default=None)


class VerzoekTotOnderzoek(Inhoud):
    """
    Document vtoDi01. `zaak_raad` is the case at the Raad, when it is known already.

    The standard wants both dates, a client, a belanghebbende and a document, and takes one that is nil.
    """

    soort: ClassVar[str] = "verzoek-tot-onderzoek"

    identificatie: str = wgs(GEEN)
    omschrijving: str | None = wgs(VRIJ, default=None)
    startdatum: Deeldatum | None = wgs(GEEN, default=None)
    registratiedatum: Deeldatum | None = wgs(GEEN, default=None)
    zaaktype: str | None = wgs(VRIJ, default=None)
    vertrouwelijkheid: Vertrouwelijkaanduiding | None = wgs(GEEN, default=None)
    clienten: tuple[Client, ...] = wgs(GEEN, default=())
    belanghebbenden: tuple[Belanghebbende, ...] = wgs(GEEN, default=())
    behandeling: Behandeling | None = wgs(GEEN, default=None)
    zaak_raad: str | None = wgs(GEEN, default=None)
    documenten: tuple[Stuk, ...] = wgs(VRIJ, default=())
    extra: Extra = wgs(VRIJ, default=())

    def zaak(self) -> str | None:
        return self.identificatie


class Onderzoekstatus(Deel):
    """How far the Raad is, and since when."""

    stand: Onderzoekstand = wgs(HULP)
    gezet_op: Tijdstip = wgs(HULP)


class Beslissing(Deel):
    """What the court decided, and from when to when it holds."""

    datum: Deeldatum | None = wgs(Wgs.JUSTITIE, default=None)
    toelichting: str | None = wgs(VRIJ, default=None)
    ingang: Deeldatum | None = wgs(Wgs.JUSTITIE, default=None)
    einde: Deeldatum | None = wgs(Wgs.JUSTITIE, default=None)
    extra: Extra = wgs(VRIJ, default=())


class Verwijzing(Deel):
    """The case of the one who asked; without identification when the Raad began by itself."""

    identificatie: str | None = wgs(GEEN, default=None)


class Aanspreekpunt(Contactpersoon):
    """Whom to call, and what that person does there."""

    functie: str | None = wgs(ID, default=None)


class Signaalgever(Deel):
    """The organisation in the chain that gives a signal on a jeugdige."""

    organisatie: Organisatie | None = wgs(GEEN, default=None)
    code: str | None = wgs(GEEN, default=None)
    omschrijving: str | None = wgs(VRIJ, default=None)
    toelichting: str | None = wgs(VRIJ, default=None)
    aanspreekpunt: Aanspreekpunt | None = wgs(ID, default=None)


class Notificatie(Inhoud):
    """
    Documents notificatieDi01 (`gebied` kinderbescherming: what came of a verzoek tot onderzoek) and
    notificatiejrDi01 (jeugdreclassering: a signal to the gemeente).
    """

    soort: ClassVar[str] = "notificatie"

    gebied: Gebied = wgs(GEEN)
    identificatie: str | None = wgs(GEEN, default=None)
    verwijzing: Verwijzing | None = wgs(GEEN, default=None)
    omschrijving: str | None = wgs(VRIJ, default=None)
    zaaktypecode: str | None = wgs(GEEN, default=None)
    clienten: tuple[Client, ...] = wgs(GEEN, default=())
    belanghebbenden: tuple[Belanghebbende, ...] = wgs(GEEN, default=())
    resultaat: Onderzoekresultaat | None = wgs(HULP, default=None)
    status: Onderzoekstatus | None = wgs(HULP, default=None)
    beslissingen: tuple[Beslissing, ...] = wgs(Wgs.JUSTITIE, default=())
    signaalgever: Signaalgever | None = wgs(GEEN, default=None)
    extra: Extra = wgs(VRIJ, default=())

    def zaak(self) -> str | None:
        return self.verwijzing.identificatie if self.verwijzing else None
