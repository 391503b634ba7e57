"""
The rest of the chain, simulated: police and Veilig Thuis, DJI and a gemeente, and a house that reads.

They write from templates and read with nothing but text: independent witnesses, as ZSM is.
"""

import re
from datetime import UTC, date, datetime, timedelta

from gateway.client import Sent
from gateway.simulators.party import Simulator


class Politie(Simulator):
    """Reports to Veilig Thuis, and hears what came of it."""

    name, kind, content_type = "politie", "melding", "application/xml"

    def report(self, case: str) -> Sent:
        """A vtMeldingDi01 about a family, under the number of the police."""
        return self.tell("vtMeldingDi01", to="veilig-thuis", case=case)


class VeiligThuis(Simulator):
    """Takes reports, and tells the police what it did with them."""

    name, kind, content_type = "veilig-thuis", "meldinguitkomst", "application/xml"

    def answer(self, document: bytes, id: str) -> tuple[str, bytes] | None:
        """The vtTerugkoppelingDi01 to a vtMeldingDi01."""
        case = re.search(rb"identificatieVtMelding>([^<]+)<", document)
        if case is None:
            return None
        told = self.fill("vtTerugkoppelingDi01", id, to="politie", case=case[1].decode())
        return self.kind, told


class Dji(Simulator):
    """Tells of a coming return, corrects it, and shares a plan for re-integration."""

    name, kind, content_type = "dji", "bij-melding", "application/xml"

    def announce(self, case: str, *, days: int = 60) -> Sent:
        """A bijMelding of somebody who comes back in so many days."""
        back = datetime.now(UTC).date() + timedelta(days=days)
        return self.tell("bijMelding", **{"case": case, "return": back.isoformat()})

    def correct(self, case: str, original: str, back: date) -> Sent:
        """The correctie of an announcement: another day of return."""
        values = {"case": case, "original": original, "return": back.isoformat()}
        return self.tell("correctie", kind="correctie", **values)

    def plan(self, case: str) -> Sent:
        """A drPlan with the five basisvoorwaarden, for the gemeente."""
        return self.tell("drPlan", kind="dr-plan", to="gemeente", case=case)


class Gemeente(Simulator):
    """The burgemeester and college of a gemeente: weighs what DJI tells."""

    name, kind, content_type = "gemeente", "bij-weging", "application/xml"

    def answer(self, document: bytes, id: str) -> tuple[str, bytes] | None:
        """The bijWeging of a bijMelding."""
        case = re.search(rb"<BIJ:melding>\s*<BIJ:identificatie>([^<]+)<", document)
        if b":bijMelding" not in document or case is None:
            return None
        weighed = datetime.now(UTC).date().isoformat()
        told = self.fill("bijWeging", id, to="dji", case=case[1].decode(), weighed=weighed)
        return self.kind, told


class Rvdk(Simulator):
    """The Raad voor de Kinderbescherming: reads what it is asked to look into."""

    name, kind, content_type = "rvdk", "notificatie", "application/xml"


class Zvh(Simulator):
    """A house that reads what is for it, and answers in the national system."""

    name, kind = "zvh", "bekendheidsuitslag"


PARTIES = {party.name: party for party in (Politie, VeiligThuis, Dji, Gemeente, Rvdk, Zvh)}
