"""Who gets a message: the one who asked, or the partners that take its kind for its house."""

from gateway.core import ids
from gateway.core.parts import Parts
from gateway.errors import NoReceiver, UnknownQuestion
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


def receivers(
    parts: Parts, bericht: Bericht, sender: Partner, asked: MessageRecord | None
) -> list[Partner]:
    """
    The partners that should get the message; whether they may is for `Policy` to say.

    Raises:
        NoReceiver: nobody takes this kind for this house, or the asker is no partner any more.
    """
    others = [p for p in parts.partners.values() if p.name != sender.name]
    found = [p for p in others if (p.name == asked.sender if asked else _takes(p, bericht))]
    if not found:
        raise NoReceiver()
    return found


def _takes(partner: Partner, bericht: Bericht) -> bool:
    named = bericht.soort in partner.receives and partner.dialects_for(bericht.soort)
    return bool(named) and partner.works_for(bericht.huis)
