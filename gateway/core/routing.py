"""
Who gets a message, in this order: the one who asked; those who got what it takes the place of; whom
it names; and the partners that take its kind for its house, its gemeente or its role.
"""

from contextlib import suppress
from datetime import date

from gateway.core import ids
from gateway.core.parts import Parts
from gateway.errors import NoReceiver, UnknownCode, UnknownQuestion
from gateway.model.envelop import Bericht
from gateway.model.partner import Partner
from gateway.ports import MessageRecord


def question(parts: Parts, bericht: Bericht, sender: Partner) -> MessageRecord | None:
    """
    The message this one answers; None when it is not an answer.

    Raises:
        UnknownQuestion: it answers, but not a question of the right kind asked of the sender.
    """
    id, kind, case = (
        bericht.antwoordop,
        parts.policy.answers.get(bericht.soort),
        bericht.data.zaak(),
    )
    if not id and not kind:
        return None
    found = parts.store.question_from(id, answered_by=sender.name) if id else None
    if not id and case:  # some answers refer to the zaak: its lane tells who asked about it
        askers = {partner.oin for partner in parts.partners.values()}
        lanes = [ids.lane(parts.lane_key, sender.name, asker, case) for asker in askers]
        found = parts.store.newest_in(lanes)
    if not found or kind not in (None, "*", found.kind):
        raise UnknownQuestion(path="antwoordop")
    return found


def organisation(parts: Parts, name: str, day: date) -> str:
    """The OIN of an organisation as a document names it: OIN, OIN_OTA or instantiecode."""
    try:
        return parts.gebieden.oin_van(name, day)
    except UnknownCode:
        return name  # a name that only the partner itself is registered under


def houses(parts: Parts, bericht: Bericht, day: date) -> list[str]:
    """The houses that the gemeenten of a message belong to, or whom they mandated."""
    row = parts.policy.soort.get(bericht.soort)
    of = parts.gebieden.mandaat_van if row and row.mandaat else parts.gebieden.huis_van
    found: dict[str, None] = {}
    for gemeente in bericht.data.gemeenten():
        with suppress(NoReceiver, UnknownCode):
            found[of(parts.gebieden.opvolger_van(gemeente, day), day)] = None
    return list(found)


def receivers(
    parts: Parts, bericht: Bericht, sender: Partner, asked: MessageRecord | None, day: date
) -> list[Partner]:
    """
    The partners that should get the message; whether they may is for `Policy` to say.

    Raises:
        NoReceiver: nobody takes this kind for this place, or the asker is no partner any more.
    """
    others = [partner for partner in parts.partners.values() if partner.name != sender.name]
    if asked:
        found = [partner for partner in others if partner.name == asked.sender]
    else:
        able = [p for p in others if _takes(p, bericht)]
        named = organisation(parts, bericht.data.ontvanger.organisatie, day)
        found = [partner for partner in able if partner.oin == named]
        places = [bericht.huis, *houses(parts, bericht, day)]
        found = found or [p for p in able if _there(parts, p, bericht, places, day)]
    if replaced := bericht.data.herroept():
        had = parts.store.receivers_of(sender.oin, replaced)
        found = [partner for partner in others if partner in found or partner.name in had]
    if not found:
        raise NoReceiver()
    return found


def _takes(partner: Partner, bericht: Bericht) -> bool:
    roles = bericht.data.rollen()
    named = bericht.soort in partner.receives and partner.dialects_for(bericht.soort)
    return bool(named) and (roles is None or partner.role in roles)


def _there(
    parts: Parts, partner: Partner, bericht: Bericht, places: list[str | None], day: date
) -> bool:
    gemeenten, at_vt = bericht.data.gemeenten(), partner.role == "veilig-thuis"
    if at_vt and bericht.soort == "melding" and bericht.data.rollen() is None:
        return False  # without a destination a melding is for the house it names, and nobody else
    if partner.gemeenten:
        return not partner.gemeenten.isdisjoint(gemeenten)
    if at_vt and gemeenten:
        with suppress(NoReceiver, UnknownCode):
            return any(parts.gebieden.veilig_thuis_van(g, day) == partner.oin for g in gemeenten)
    return any(partner.works_for(place) for place in places)
