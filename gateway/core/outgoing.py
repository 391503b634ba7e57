"""What leaves the gateway: parcels for the bus, kept renderings, their seal, and proof of arrival."""

import re
from collections.abc import Sequence

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


def find(parts: Parts, delivery_id: str) -> DeliveryRecord:
    """The delivery as it stands. Raises NotFound."""
    if (record := parts.store.delivery(delivery_id)) is None:
        raise NotFound()
    return record


def pack(parts: Parts, record: DeliveryRecord) -> bytes:
    """The parcel for the bus: the signed canonical message, or its digest when it is large."""
    try:
        canonical = _canonical(parts, record)
    except BodyDestroyed:
        canonical = b""  # travels empty, so that `unpack` finds out and the delivery dies
    parcel = {"delivery": record.id, "digest": ids.digest_of(canonical)}
    if len(canonical) <= MAX_INLINE:
        parcel["canoniek"] = canonical.decode()
    return parts.sealer.wrap_for_bus(parts.sealer.sign(orjson.dumps(parcel)))


def unpack(parts: Parts, token: bytes, record: DeliveryRecord) -> Bericht:
    """The canonical message in a parcel. Raises BadSeal unless we made it for this delivery."""
    sealer = parts.sealer
    parcel = orjson.loads(sealer.verify_own(sealer.unwrap_from_bus(token)))
    canonical = parcel.get("canoniek", "").encode() or _canonical(parts, record)
    if parcel["delivery"] != record.id or parcel["digest"] != ids.digest_of(canonical):
        raise BadSeal("Het pakket op de bus hoort niet bij deze aflevering.")
    return lees(orjson.loads(sealer.verify_own(canonical)))


def stored(parts: Parts, record: DeliveryRecord) -> Bericht:
    """The canonical message of a delivery, as it was accepted. Raises BodyDestroyed."""
    return lees(orjson.loads(parts.sealer.verify_own(_canonical(parts, record))))


def keep(
    parts: Parts, record: DeliveryRecord, made: ports.Rendered, carries: Sequence[str] = ()
) -> DeliveryRecord | None:
    """
    Keep a rendering, sealed, before it is sent for the first time.

    `carries` are the deliveries that it holds too; None when it or one of those was sent meanwhile.
    """
    key = _key(parts, record, parts.store.bodies(record.id))
    sealed = parts.vault.seal(key, made.document, context=_context(record, record.id))
    digest = ids.digest_of(made.document)
    saved = parts.store.save_rendered(
        record.id, made, sealed=sealed, digest=digest, now=parts.now(), carries=carries
    )
    return find(parts, record.id) if saved else None


def document(parts: Parts, record: DeliveryRecord) -> bytes:
    """The kept rendering. Raises BodyDestroyed."""
    bodies = parts.store.bodies(record.id)
    key = _key(parts, record, bodies)
    sealed = bodies.sealed_rendered or b""
    return parts.vault.open(key, sealed, context=_context(record, record.id))


def seal(parts: Parts, record: DeliveryRecord, receiver: Partner) -> bytes:
    """The kept rendering, sealed for its receiver as it is known now. Raises BodyDestroyed."""
    envelope = {
        "specversion": "1.0",
        "id": record.id,
        "source": source_of(parts.oin, parts.systeem),
        "type": type_of(record.message.kind),
        "time": ids.instant(record.message.received_at),
        "datacontenttype": record.content_type,
        "conversatieid": record.message.conversation,
        **({"huis": record.message.house} if record.message.house else {}),
    }
    made = document(parts, record)
    return parts.sealer.seal(made, envelope=envelope, receiver=receiver, now=parts.now())


def judged(
    parts: Parts, receipt: bytes, record: DeliveryRecord, partner: Partner, status: int | None
) -> Outcome:
    """
    What the receiver's receipt makes of a delivery.

    Raises:
        ReceiptInvalid: it is not about exactly what we sent.
    """
    proof = parts.sealer.verify_receipt(receipt, partner=partner, now=parts.now())
    if (proof.id, proof.digest) != (record.id, record.digest):
        raise ReceiptInvalid("Het ontvangstbewijs gaat over iets anders.")
    if proof.outcome == "geweigerd":
        return rejected(proof.code, receipt, status)
    text = "De ontvanger heeft de ontvangst bevestigd."
    return Outcome(State.AFGELEVERD, text, status=status, receipt=receipt)


def rejected(code: str, receipt: bytes, status: int | None = None) -> Outcome:
    """The outcome of a final refusal, with the receiver's own code when it gave a usable one."""
    code = code if _CODE.fullmatch(code) else RejectedByPartner.code
    refusal = RejectedByPartner(f"De ontvanger heeft het bericht geweigerd met code {code}.")
    return Outcome(State.DOOD, refusal.reason(), code, status=status, receipt=receipt or None)


def _key(parts: Parts, record: DeliveryRecord, bodies: ports.Bodies) -> bytes:
    return parts.vault.unwrap(bodies.wrapped_key, record.message.destroy_by)


def _canonical(parts: Parts, record: DeliveryRecord) -> bytes:
    bodies = parts.store.bodies(record.id)
    key = _key(parts, record, bodies)
    return parts.vault.open(key, bodies.sealed_canonical, context=_context(record, "canoniek"))


def _context(record: DeliveryRecord, part: str) -> str:
    """What a sealed body is bound to, so that it opens only as what it is."""
    return f"{record.message.id}:{part}"
