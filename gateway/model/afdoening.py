"""The decision of the OM at ZSM, told to the ZVH that knows the suspect (Wjsg art. 39f)."""

from typing import Annotated, ClassVar

from gateway.model.bekendheid import Organisatie
from gateway.model.envelop import Deel, Inhoud
from gateway.model.lijsten import Lijst
from gateway.model.nummers import Parketnummer
from gateway.model.personen import ID, VRIJ, Natuurlijkpersoon
from gateway.model.waarden import Deeldatum, Tijdstip, Wgs, wgs

Beslissing = Annotated[str, Lijst("afdoening")]
Sepotcode = Annotated[str, Lijst("sepot")]
Routering = Annotated[str, Lijst("routering")]


class Voorwaarde(Deel):
    """A condition of a conditional decision."""

    omschrijving: str | None = wgs(VRIJ, default=None)
    tot: Deeldatum | None = wgs(Wgs.JUSTITIE, default=None)


class Afdoeningsbeslissing(Inhoud):
    """
    What the OM decided about a suspect who is known to the ZVH, and where the person goes next.

    `sepotcode` goes with the decisions `sepot` and `voorwaardelijk-sepot` only; not checked here.
    """

    soort: ClassVar[str] = "afdoeningsbeslissing"

    identificatie: str = wgs(Wgs.GEEN)
    persoon: Natuurlijkpersoon = wgs(Wgs.GEEN)
    parketnummer: Parketnummer = wgs(Wgs.JUSTITIE)
    beslissing: Beslissing = wgs(Wgs.JUSTITIE)
    sepotcode: Sepotcode | None = wgs(Wgs.JUSTITIE, default=None)
    beslist_op: Tijdstip = wgs(Wgs.JUSTITIE)
    proefperiode_tot: Deeldatum | None = wgs(Wgs.JUSTITIE, default=None)
    voorwaarden: tuple[Voorwaarde, ...] = wgs(Wgs.JUSTITIE, default=())
    kwalificatie: str | None = wgs(Wgs.JUSTITIE, default=None)
    pleegdatum: Deeldatum | None = wgs(Wgs.JUSTITIE, default=None)
    advies_gevolgd: bool | None = wgs(Wgs.JUSTITIE, default=None)
    routering: Routering | None = wgs(Wgs.HULPVERLENING, default=None)
    toelichting: str | None = wgs(VRIJ, default=None)
    zsm_locatie: Organisatie | None = wgs(ID, default=None)

    def zaak(self) -> str | None:
        return self.identificatie
