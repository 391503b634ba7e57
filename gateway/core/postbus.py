"""The postbus: deliveries that lie ready until their receiver fetches and confirms them."""

from dataclasses import dataclass

from gateway.core import ids, outgoing
from gateway.core.parts import Parts
from gateway.errors import BadRequest, BodyDestroyed, NotFound, ReceiptInvalid
from gateway.model.partner import Partner
from gateway.ports import FINAL, DeliveryRecord, Outcome, Receipt, State


@dataclass(frozen=True, slots=True)
class Postbus:
    """What a pull partner may do; another partner's deliveries do not exist for it."""

    parts: Parts

    def list(self, partner: Partner, *, limit: int) -> list[DeliveryRecord]:
        """What lies ready, oldest first."""
        return self.parts.store.in_postbus(partner.name, limit=limit)

    def fetch(self, partner: Partner, delivery_id: str) -> bytes:
        """The document, sealed for the partner now; as often as it likes until it confirms."""
        record = self._own(partner, delivery_id)
        if record.state is not State.ONDERWEG:
            raise NotFound()
        try:
            return outgoing.seal(self.parts, record, partner)
        except BodyDestroyed as error:
            raise NotFound(error.detail) from error

    def confirm(self, partner: Partner, delivery_id: str, receipt: bytes) -> State:
        """
        Settle a delivery by the partner's signed receipt: delivered, or dead when it refuses.

        A repeat is answered with the state as it is. Raises BadRequest when the receipt proves
        nothing.
        """
        record = self._own(partner, delivery_id)
        try:
            outcome = outgoing.judged(self.parts, receipt, record, partner, None)
        except ReceiptInvalid as error:
            raise BadRequest(error.detail) from error
        # Proof of arrival also settles what was given up meanwhile.
        if record.state not in {State.ONDERWEG, State.DOOD} - {outcome.state}:
            return record.state
        self.parts.store.settle(record.id, outcome, now=self.parts.now())
        return outcome.state

    # -- the folder of a partner without HTTP

    def document(self, partner: Partner, delivery_id: str) -> bytes:
        """The document as it is, for the partner's folder. Raises NotFound, BodyDestroyed."""
        return outgoing.document(self.parts, self._own(partner, delivery_id))

    def taken(self, partner: Partner, delivery_id: str, digest: str) -> bool:
        """
        The partner took the file with this digest: delivered. False when it is not what we wrote.

        The receipt that is kept is our own: the partner signs nothing, and we say what we saw.
        """
        record, now = self._own(partner, delivery_id), self.parts.now()
        if digest != record.digest:
            return False
        seen = Receipt(
            *(record.id, digest, "geaccepteerd", ids.instant(now), self.parts.oin, partner.oin)
        )
        text = "De ontvanger heeft het bestand uit zijn map gehaald."
        proof = self.parts.sealer.sign_receipt(seen)
        outcome = Outcome(State.AFGELEVERD, text, receipt=proof)
        self.parts.store.settle(record.id, outcome, now=now)
        return True

    def over(self, partner: Partner, delivery_id: str) -> bool:
        """Whether a delivery of the partner needs no file any more."""
        record = self.parts.store.delivery(delivery_id)
        return bool(record and record.receiver == partner.name and record.state in FINAL)

    def _own(self, partner: Partner, delivery_id: str) -> DeliveryRecord:
        """A rendered pull delivery of this partner. Raises NotFound."""
        record = outgoing.find(self.parts, delivery_id)
        if record.receiver != partner.name or not (record.pull and record.digest):
            raise NotFound()
        return record
