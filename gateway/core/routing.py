"""Who gets a message: the one who asked, or the partners that take its kind for its house."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.policy import Policy
from gateway.errors import NoReceiver, UnknownQuestion
from gateway.model.envelop import Bericht
from gateway.model.partner import Partner
from gateway.ports import MessageRecord, Partners, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Proposes receivers; whether they may have the message is for `Policy` to say."""

    partners: Partners
    store: Store
    policy: Policy

    def question(self, bericht: Bericht, sender: Partner) -> MessageRecord | None:
        """
        The message this one answers; None when it is not an answer.

        Raises:
            UnknownQuestion: it answers, but not a question of the right kind asked of the sender.
        """
        asked = self.policy.answers.get(bericht.soort)
        if not bericht.antwoordop and not asked:
            return None
        question = bericht.antwoordop and self.store.question_from(
            bericht.antwoordop, answered_by=sender.name
        )
        if not question or (asked and question.kind != asked):
            raise UnknownQuestion(path="antwoordop")
        return question

    def receivers(
        self, bericht: Bericht, sender: Partner, question: MessageRecord | None
    ) -> list[Partner]:
        """
        The partners that should get the message.

        Raises:
            NoReceiver: nobody takes this kind for this house, or the asker is no partner any more.
        """
        if question:
            found = [self.partners.by_name(question.sender)]
        else:
            found = [p for p in self.partners.all() if p.name != sender.name and _takes(p, bericht)]
        if receivers := [partner for partner in found if partner]:
            return receivers
        raise NoReceiver()


def _takes(partner: Partner, bericht: Bericht) -> bool:
    named = bericht.soort in partner.receives and partner.dialect_for(bericht.soort)
    return bool(named) and partner.works_for(bericht.huis)
