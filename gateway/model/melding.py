"""A report or aanmelding to a ZVH, Veilig Thuis or NAZ, and what came of it."""

from typing import Annotated, ClassVar

from gateway.model.bekendheid import Contactpersoon, Extra, Organisatie
from gateway.model.envelop import Deel, Inhoud
from gateway.model.lijsten import Lijst
from gateway.model.personen import VRIJ, Betrokkene, Contactmiddel, Informering, Natuurlijkpersoon
from gateway.model.waarden import Oin, Tijdstip, Wgs, wgs

ID, GEEN = Wgs.IDENTIFICEREND, Wgs.GEEN

Bestemming = Annotated[str, Lijst("bestemming")]
Leefgebiedcode = Annotated[str, Lijst("leefgebied")]
Vraagcode = Annotated[str, Lijst("vraagcode")]
Sashniveau = Annotated[str, Lijst("sashniveau")]
Criteriumcode = Annotated[str, Lijst("triagecriterium")]
Oordeel = Annotated[str, Lijst("oordeel")]
Meldingstatus = Annotated[str, Lijst("meldingstatus", "status")]
Beoordeling = Annotated[str, Lijst("meldingstatus", "uitkomst")]


BESTEMD_VOOR = {
    "veilig-thuis": frozenset({"veilig-thuis"}),
    "zvh": frozenset({"landelijk", "gcos", "zvh"}),
    "naz": frozenset({"ggz"}),
}
"""The roles that take a melding of each bestemming."""


class Reden(Deel):
    """Why the message is sent."""

    code: str | None = wgs(GEEN, default=None)
    omschrijving: str | None = wgs(VRIJ, default=None)


class Vraag(Deel):
    """The answer to a question of the list that comes with the kind of melding (VT-001 …)."""

    code: Vraagcode = wgs(GEEN)
    antwoord: str | None = wgs(VRIJ, default=None)


class Leefgebied(Deel):
    """One of the twelve leefgebieden, and what is the matter there."""

    code: Leefgebiedcode = wgs(Wgs.HULPVERLENING)
    toelichting: str | None = wgs(VRIJ, default=None)


class Incident(Deel):
    """What happened, when and where; `einde` only when it lasted."""

    begin: Tijdstip | None = wgs(Wgs.POLITIE, default=None)
    einde: Tijdstip | None = wgs(Wgs.POLITIE, default=None)
    locatie: str | None = wgs(VRIJ, default=None)
    omschrijving: str | None = wgs(VRIJ, default=None)


class Criterium(Deel):
    """One of the triage criteria a-d of BGS art. 2.20; `oordeel` is `nietVermeld` where unsaid."""

    criterium: Criteriumcode = wgs(GEEN)
    oordeel: Oordeel = wgs(Wgs.HULPVERLENING)
    motivering: str | None = wgs(VRIJ, default=None)


class Geinformeerde(Informering):
    """Somebody who was told of the melding, and how."""

    persoon: Natuurlijkpersoon | None = wgs(GEEN, default=None)


class Webadres(Deel):
    """A link to more."""

    url: str | None = wgs(VRIJ, default=None)


class Verdieping(Deel):
    """Whom to ask for more: a person or department of the reporting organisation."""

    naam: str | None = wgs(ID, default=None)
    afdeling: str | None = wgs(ID, default=None)
    contactmiddelen: tuple[Contactmiddel, ...] = wgs(ID, default=())


class Indiener(Deel):
    """The organisation that reports, by the number its register knows it by."""

    naam: str | None = wgs(GEEN, default=None)
    instantiecode: str | None = wgs(GEEN, default=None)
    vestigingsnummer: str | None = wgs(GEEN, default=None)
    rsin: str | None = wgs(GEEN, default=None)
    kvk_nummer: str | None = wgs(GEEN, default=None)


class Melding(Inhoud):
    """Documents meldingGeneriekDi01, vtMeldingDi01, zorgmeldingDi01, SOH Melding."""

    soort: ClassVar[str] = "melding"

    identificatie: str | None = wgs(GEEN, default=None)
    bestemming: Bestemming | None = wgs(GEEN, default=None)
    gemeld_op: Tijdstip | None = wgs(GEEN, default=None)
    reden: Reden | None = wgs(GEEN, default=None)
    verzoek: str | None = wgs(VRIJ, default=None)
    terugkoppeling_gewenst: bool | None = wgs(GEEN, default=None)
    agendering_gewenst: bool | None = wgs(GEEN, default=None)
    situatie: str | None = wgs(VRIJ, default=None)
    toelichting: str | None = wgs(VRIJ, default=None)
    aanvullende_informatie: str | None = wgs(VRIJ, default=None)
    incident: Incident | None = wgs(GEEN, default=None)
    vragen: tuple[Vraag, ...] = wgs(GEEN, default=())
    leefgebieden: tuple[Leefgebied, ...] = wgs(GEEN, default=())
    triage: tuple[Criterium, ...] = wgs(GEEN, default=())
    instanties_betrokken: bool | None = wgs(Wgs.HULPVERLENING, default=None)
    sash_ingevuld: bool | None = wgs(Wgs.POLITIE, default=None)
    sash_niveau: Sashniveau | None = wgs(Wgs.POLITIE, default=None)
    betrokkenen: tuple[Betrokkene, ...] = wgs(GEEN, default=())
    informering: str | None = wgs(VRIJ, default=None)
    geinformeerden: tuple[Geinformeerde, ...] = wgs(GEEN, default=())
    initiator: Organisatie | None = wgs(GEEN, default=None)
    uitvoerende: Organisatie | None = wgs(GEEN, default=None)
    indiener: Indiener | None = wgs(GEEN, default=None)
    verdieping: Verdieping | None = wgs(GEEN, default=None)
    overige_informatie: str | None = wgs(VRIJ, default=None)
    webadressen: tuple[Webadres, ...] = wgs(VRIJ, default=())
    extra: Extra = wgs(VRIJ, default=())

    def zaak(self) -> str | None:
        return self.identificatie

    def gemeenten(self) -> tuple[str, ...]:
        about = [b.persoon for b in self.betrokkenen if b.persoon and b.positie != "overig"]
        return tuple(dict.fromkeys(person.gemeente for person in about if person.gemeente))

    def rollen(self) -> frozenset[str] | None:
        return BESTEMD_VOOR.get(self.bestemming or "")


class Afhandeling(Deel):
    """The casus a melding became, and whom to ask about it."""

    registratienummer: str | None = wgs(GEEN, default=None)
    contact: Contactpersoon | None = wgs(ID, default=None)


class Doorgeleiding(Deel):
    """The organisation a melding was passed on to."""

    oin: Oin | None = wgs(GEEN, default=None)
    naam: str | None = wgs(GEEN, default=None)


class Resultaat(Deel):
    """Where a melding stands; `uitkomst` only after the veiligheidsbeoordeling of Veilig Thuis."""

    status: Meldingstatus = wgs(Wgs.HULPVERLENING)
    uitkomst: Beoordeling | None = wgs(Wgs.HULPVERLENING, default=None)


class Meldinguitkomst(Inhoud):
    """
    What came of a melding; `verwijzing` repeats the identification of the melding.

    Documents uitkomstMeldingGeneriekDi01, vtTerugkoppelingDi01, zorgmeldingTerugkoppelingDi01.
    """

    soort: ClassVar[str] = "meldinguitkomst"

    identificatie: str | None = wgs(GEEN, default=None)
    verwijzing: str | None = wgs(GEEN, default=None)
    bestemming: Bestemming | None = wgs(GEEN, default=None)
    resultaat: Resultaat | None = wgs(GEEN, default=None)
    casus: Afhandeling | None = wgs(GEEN, default=None)
    toelichting: str | None = wgs(VRIJ, default=None)
    webadres: str | None = wgs(VRIJ, default=None)
    doorgeleid_naar: Doorgeleiding | None = wgs(Wgs.HULPVERLENING, default=None)
    initiator: Organisatie | None = wgs(GEEN, default=None)
    uitvoerende: Organisatie | None = wgs(GEEN, default=None)
    verantwoordelijk: Organisatie | None = wgs(GEEN, default=None)
    verantwoordelijk_contact: Verdieping | None = wgs(GEEN, default=None)
    betrokkenen: tuple[Betrokkene, ...] = wgs(GEEN, default=())
    extra: Extra = wgs(VRIJ, default=())

    def zaak(self) -> str | None:
        return self.verwijzing
