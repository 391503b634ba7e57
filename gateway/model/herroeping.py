"""Correction and withdrawal of an earlier message (BGS art. 1.5-1.8)."""

from typing import Annotated, ClassVar

from gateway.model.detentie import Terugkeerbericht
from gateway.model.envelop import Deel, Inhoud
from gateway.model.lijsten import Lijst
from gateway.model.personen import VRIJ
from gateway.model.waarden import Wgs, wgs

Herroepingsreden = Annotated[str, Lijst("herroepingsreden")]


class Herroepen(Deel):
    """The message that no longer holds: its id at the sender, its kind and its zaak."""

    berichtid: str = wgs(Wgs.GEEN)
    soort: str = wgs(Wgs.GEEN)
    zaak: str = wgs(Wgs.GEEN)


class Herroeping(Inhoud):
    """What correctie and intrekking have in common."""

    betreft: Herroepen = wgs(Wgs.GEEN)
    reden: Herroepingsreden = wgs(Wgs.GEEN)
    toelichting: str | None = wgs(VRIJ, default=None)

    def zaak(self) -> str | None:
        return self.betreft.zaak

    def herroept(self) -> str | None:
        return self.betreft.berichtid


class Correctie(Herroeping):
    """The message as it should have been; supersedes the original where that was not delivered."""

    soort: ClassVar[str] = "correctie"

    melding: Terugkeerbericht = wgs(Wgs.GEEN)

    def gemeenten(self) -> tuple[str, ...]:
        return self.melding.gemeenten()


class Intrekking(Herroeping):
    """The message should not have been sent, or holds no more."""

    soort: ClassVar[str] = "intrekking"
