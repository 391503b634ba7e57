"""What leaves the gateway: parcels for the bus, kept renderings, their seal, and proof of arrival."""

import re
from dataclasses import dataclass

import orjson

from gateway import ports
from gateway.core import ids
from gateway.core.parts import Parts
from gateway.errors import BadSeal, BodyDestroyed, NotFound, ReceiptInvalid, RejectedByPartner
from gateway.model import lees
from gateway.model.envelop import Bericht, source_of, type_of
from gateway.model.partner import Partner
from gateway.ports import DeliveryRecord, Outcome, State

MAX_INLINE = 64 * 1024  # a larger message stays in the store; the bus carries a claim check
_CODE = re.compile(r"[a-z0-9-]{1,40}")  # a stranger's code enters our records in this form only


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Opens and keeps the bodies of deliveries, and seals them for the bus and for receivers."""

    parts: Parts

    def record(self, delivery_id: str) -> DeliveryRecord:
        """The delivery as it stands. Raises NotFound."""
        if (record := self.parts.store.delivery(delivery_id)) is None:
            raise NotFound()
        return record

    def pack(self, record: DeliveryRecord) -> bytes:
        """The parcel for the bus: the signed canonical message, or its digest when it is large."""
        try:
            canonical = self._canonical(record)
        except BodyDestroyed:
            canonical = b""  # travels empty, so that `unpack` finds out and the delivery dies
        parcel = {"delivery": record.id, "digest": ids.digest_of(canonical)}
        if len(canonical) <= MAX_INLINE:
            parcel["canoniek"] = canonical.decode()
        return self.parts.sealer.wrap_for_bus(self.parts.sealer.sign(orjson.dumps(parcel)))

    def unpack(self, token: bytes, record: DeliveryRecord) -> Bericht:
        """The canonical message in a parcel. Raises BadSeal unless we made it for this delivery."""
        sealer = self.parts.sealer
        parcel = orjson.loads(sealer.verify_own(sealer.unwrap_from_bus(token)))
        canonical = parcel.get("canoniek", "").encode() or self._canonical(record)
        if parcel["delivery"] != record.id or parcel["digest"] != ids.digest_of(canonical):
            raise BadSeal("Het pakket op de bus hoort niet bij deze aflevering.")
        return lees(orjson.loads(sealer.verify_own(canonical)))

    def keep(self, record: DeliveryRecord, made: ports.Rendered) -> DeliveryRecord:
        """Keep a rendering, sealed, before it is sent for the first time."""
        key = self._key(record, self.parts.store.bodies(record.id))
        sealed = self.parts.vault.seal(key, made.document, context=_context(record, record.id))
        digest, now = ids.digest_of(made.document), self.parts.now()
        self.parts.store.save_rendered(record.id, made, sealed=sealed, digest=digest, now=now)
        return self.record(record.id)

    def seal(self, record: DeliveryRecord, receiver: Partner) -> bytes:
        """The kept rendering, sealed for its receiver as it is known now. Raises BodyDestroyed."""
        bodies = self.parts.store.bodies(record.id)
        key = self._key(record, bodies)
        sealed = bodies.sealed_rendered or b""
        document = self.parts.vault.open(key, sealed, context=_context(record, record.id))
        envelope = {
            "specversion": "1.0",
            "id": record.id,
            "source": source_of(self.parts.oin, self.parts.systeem),
            "type": type_of(record.message.kind),
            "time": ids.instant(record.message.received_at),
            "datacontenttype": record.content_type,
            "conversatieid": record.message.conversation,
            **({"huis": record.message.house} if record.message.house else {}),
        }
        return self.parts.sealer.seal(
            document, envelope=envelope, receiver=receiver, now=self.parts.now()
        )

    def proof(self, token: bytes, record: DeliveryRecord, partner: Partner) -> ports.Receipt:
        """The receiver's receipt. Raises ReceiptInvalid unless it is about exactly what we sent."""
        receipt = self.parts.sealer.verify_receipt(token, partner=partner, now=self.parts.now())
        if (receipt.id, receipt.digest) != (record.id, record.digest):
            raise ReceiptInvalid("Het ontvangstbewijs gaat over iets anders.")
        return receipt

    def _key(self, record: DeliveryRecord, bodies: ports.Bodies) -> bytes:
        return self.parts.vault.unwrap(bodies.wrapped_key, record.message.destroy_by)

    def _canonical(self, record: DeliveryRecord) -> bytes:
        bodies = self.parts.store.bodies(record.id)
        key = self._key(record, bodies)
        return self.parts.vault.open(
            key, bodies.sealed_canonical, context=_context(record, "canoniek")
        )


def judged(proof: ports.Receipt, receipt: bytes, status: int | None = None) -> Outcome:
    """What the receiver's verified receipt makes of a delivery."""
    if proof.outcome == "geweigerd":
        return rejected(proof.code, receipt, status)
    text = "De ontvanger heeft de ontvangst bevestigd."
    return Outcome(State.AFGELEVERD, text, status=status, receipt=receipt)


def rejected(code: str, receipt: bytes, status: int | None = None) -> Outcome:
    """The outcome of a final refusal, with the receiver's own code when it gave a usable one."""
    code = code if _CODE.fullmatch(code) else RejectedByPartner.code
    refusal = RejectedByPartner(f"De ontvanger heeft het bericht geweigerd met code {code}.")
    return Outcome(State.DOOD, refusal.reason(), code, status=status, receipt=receipt or None)


def _context(record: DeliveryRecord, part: str) -> str:
    """What a sealed body is bound to, so that it opens only as what it is."""
    return f"{record.message.id}:{part}"
