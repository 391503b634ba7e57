"""Who gets a message: the one who asked, or the partners that take its kind for its house."""

from __future__ import annotations

from gateway.core.policy import Policy
from gateway.errors import NoReceiver, UnknownQuestion
from gateway.model.envelop import Bericht
from gateway.model.partner import Partner
from gateway.ports import MessageRecord, Partners, Store


class Routing:
    """Proposes receivers; whether they may have the message is `Policy`'s to say."""

    def __init__(self, *, partners: Partners, store: Store, policy: Policy) -> None:
        self._partners = partners
        self._store = store
        self._policy = policy

    def question(self, bericht: Bericht, sender: Partner) -> MessageRecord | None:
        """
        The message this one answers; None when it is not an answer.

        Raises:
            UnknownQuestion: it is an answer, but not to a question that was brought to the sender.
        """
        asked = self._policy.answers.get(bericht.soort)
        if not bericht.antwoordop:
            if asked:
                raise UnknownQuestion(path="antwoordop")
            return None
        question = self._store.question_from(bericht.antwoordop, answered_by=sender.name)
        if question is None or (asked and question.kind != asked):
            raise UnknownQuestion(path="antwoordop")
        return question

    def receivers(
        self, bericht: Bericht, sender: Partner, question: MessageRecord | None
    ) -> list[Partner]:
        """
        The partners that should get the message, by name.

        Raises:
            NoReceiver: nobody takes this kind for this house, or the asker is no partner any more.
        """
        if question is not None:
            asker = self._partners.by_name(question.sender)
            found = [asker] if asker else []
        else:
            found = sorted(
                (p for p in self._partners.all() if p.name != sender.name and _takes(p, bericht)),
                key=lambda partner: partner.name,
            )
        if not found:
            raise NoReceiver()
        return found


def _takes(partner: Partner, bericht: Bericht) -> bool:
    kind = bericht.soort
    return (
        kind in partner.receives
        and bool(partner.dialect_for(kind))
        and partner.works_for(bericht.huis)
    )
