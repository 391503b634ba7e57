"""What became of a message at its receiver: a bevestiging, or a foutbericht that says what is wrong."""

from typing import Annotated, ClassVar

from gateway.model.envelop import Deel, Inhoud, Systeem
from gateway.model.lijsten import Lijst
from gateway.model.personen import VRIJ
from gateway.model.waarden import Wgs, wgs

GEEN = Wgs.GEEN

Bevestigingsfase = Annotated[str, Lijst("bevestiging")]
Foutfase = Annotated[str, Lijst("foutbericht")]
Foutplek = Annotated[str, Lijst("foutplek")]


class Antwoordsysteem(Systeem):
    """A system that answers; it need not say of which organisation it is (StUF 03.01)."""

    organisatie: str = wgs(GEEN, default="")


class Verwerking(Inhoud):
    """What both answers have; `antwoordop` of the message says to which message."""

    afzender: Antwoordsysteem = wgs(GEEN)
    ontvanger: Antwoordsysteem = wgs(GEEN)


class Opmerking(Deel):
    """A remark of the receiver on a message it did process."""

    tekst: str | None = wgs(VRIJ, default=None)


class Bevestiging(Verwerking):
    """
    Documents Bv01 (`fase` verwerking: processed), Bv03 (ontvangst: received, and fit to process) and
    Bv04 (aflevering: delivered, and not looked into).
    """

    soort: ClassVar[str] = "bevestiging"

    fase: Bevestigingsfase = wgs(GEEN)
    opmerkingen: tuple[Opmerking, ...] = wgs(VRIJ, default=())


class Foutbericht(Verwerking):
    """
    Documents Fo01 (`fase` verwerking) and Fo03 (ontvangst).

    `plek` says whose fault it is: of the indiener, who must mend the message, or of the verwerker,
    whose system or supplier failed. `code` is of the one who answers; StUF has a list (StUF016 …).
    """

    soort: ClassVar[str] = "foutbericht"

    fase: Foutfase = wgs(GEEN)
    code: str = wgs(GEEN)
    plek: Foutplek = wgs(GEEN)
    omschrijving: str = wgs(VRIJ)
    details: str | None = wgs(VRIJ, default=None)
