"""Natural persons: who they are, where they stay, how to reach them, and who else is involved."""

from typing import Annotated

from gateway.model.bekendheid import Contactpersoon, Organisatie, Persoon
from gateway.model.envelop import Deel
from gateway.model.lijsten import Lijst
from gateway.model.nummers import Gemeentecode, Postcode, Skn
from gateway.model.waarden import Deeldatum, Wgs, wgs

ID = Wgs.IDENTIFICEREND
VRIJ = Wgs.VRIJE_TEKST

Geslacht = Annotated[str, Lijst("geslacht")]
SoortAdres = Annotated[str, Lijst("soortadres")]
Hoedanigheid = Annotated[str, Lijst("hoedanigheid")]
Relatie = Annotated[str, Lijst("relatie")]
Betrokkenheid = Annotated[str, Lijst("betrokkenheid")]
Jeugdrol = Annotated[str, Lijst("jeugdrol")]
Contactsoort = Annotated[str, Lijst("contactsoort")]
Positie = Annotated[str, Lijst("positie")]
Informeringswijze = Annotated[str, Lijst("informeringswijze")]


class Contactmiddel(Deel):
    """A telephone number or an e-mail address."""

    soort: Contactsoort = wgs(ID)
    waarde: str | None = wgs(ID, default=None)


class Binnenland(Deel):
    """A Dutch address, in the parts the BAG knows."""

    woonplaats: str | None = wgs(ID, default=None)
    straat: str | None = wgs(ID, default=None)
    postcode: Postcode | None = wgs(ID, default=None)
    huisnummer: str | None = wgs(ID, default=None)
    huisletter: str | None = wgs(ID, default=None)
    toevoeging: str | None = wgs(ID, default=None)


class Buitenland(Deel):
    """A foreign address, in lines."""

    landcode: str | None = wgs(ID, default=None)
    land: str | None = wgs(ID, default=None)
    regel1: str | None = wgs(ID, default=None)
    regel2: str | None = wgs(ID, default=None)
    regel3: str | None = wgs(ID, default=None)


class Adres(Deel):
    """Where somebody stays, and in what sense (`soort`: woon, detentie, verlof …)."""

    soort: SoortAdres | None = wgs(ID, default=None)
    binnenland: Binnenland | None = wgs(ID, default=None)
    buitenland: Buitenland | None = wgs(ID, default=None)


class Nationaliteit(Deel):
    """A nationality (BRP table 32). Only for identification (BGS art. 1.9)."""

    code: str | None = wgs(ID, default=None)
    omschrijving: str | None = wgs(ID, default=None)


class Taal(Deel):
    """A language somebody understands."""

    code: str | None = wgs(ID, default=None)
    omschrijving: str | None = wgs(ID, default=None)


class Naaste(Persoon):
    """
    A person by name and numbers.

    `vnummer` is free here: the messages that carry it do not bound it to ten or seventeen digits.
    """

    vnummer: str | None = wgs(ID, default=None)
    volledige_naam: str | None = wgs(ID, default=None)
    rni: str | None = wgs(ID, default=None)


class SocialeRelatie(Deel):
    """Somebody a person has a relation with, as the sender describes it."""

    persoon: Naaste | None = wgs(Wgs.RELATIES, default=None)
    volledige_naam: str | None = wgs(Wgs.RELATIES, default=None)
    omschrijving: str | None = wgs(Wgs.RELATIES, default=None)


class Natuurlijkpersoon(Naaste):
    """
    A person with all that a message may say of one. An unborn child has no BSN and no birth date.

    `skn` stays in the criminal chain (Sv art. 27b); `nationaliteiten` serve identification only.
    """

    geslacht: Geslacht | None = wgs(ID, default=None)
    ongeboren: bool | None = wgs(ID, default=None)
    skn: Skn | None = wgs(Wgs.JUSTITIE, default=None, skn=True)
    geboorteplaats: str | None = wgs(ID, default=None)
    geboorteplaats_buitenland: str | None = wgs(ID, default=None)
    geboorteland: str | None = wgs(ID, default=None)
    geboorteland_naam: str | None = wgs(ID, default=None)
    gemeente: Gemeentecode | None = wgs(ID, default=None)
    nationaliteiten: tuple[Nationaliteit, ...] = wgs(ID, default=(), nationaliteit=True)
    taal: Taal | None = wgs(ID, default=None)
    adressen: tuple[Adres, ...] = wgs(ID, default=())
    contactmiddelen: tuple[Contactmiddel, ...] = wgs(ID, default=())
    relaties: tuple[SocialeRelatie, ...] = wgs(Wgs.RELATIES, default=())


class Informering(Deel):
    """Whether somebody was told of the message, how, and what came of it."""

    geinformeerd: bool | None = wgs(Wgs.HULPVERLENING, default=None)
    datum: Deeldatum | None = wgs(Wgs.HULPVERLENING, default=None)
    wijze: Informeringswijze | None = wgs(Wgs.HULPVERLENING, default=None)
    gereageerd: bool | None = wgs(Wgs.HULPVERLENING, default=None)
    reactie: str | None = wgs(VRIJ, default=None)
    reden_niet: str | None = wgs(VRIJ, default=None)


class Betrokkene(Deel):
    """
    A person or organisation in a message. One person in several roles stands in it several times.

    `rol` is a role around a child (`melder` among them), `relatie` to the subject of the message.
    """

    positie: Positie = wgs(Wgs.GEEN)
    persoon: Natuurlijkpersoon | None = wgs(Wgs.GEEN, default=None, melder=True)
    organisatie: Organisatie | None = wgs(Wgs.GEEN, default=None)
    hoedanigheid: Hoedanigheid | None = wgs(Wgs.POLITIE, default=None)
    relatie: Relatie | None = wgs(Wgs.RELATIES, default=None)
    betrokkenheid: Betrokkenheid | None = wgs(Wgs.HULPVERLENING, default=None)
    rol: Jeugdrol | None = wgs(Wgs.RELATIES, default=None)
    informering: Informering | None = wgs(Wgs.GEEN, default=None)
    contactpersonen: tuple[Contactpersoon, ...] = wgs(ID, default=())
    aanvullende_informatie: str | None = wgs(VRIJ, default=None)
    overige_zorg: str | None = wgs(VRIJ, default=None)
