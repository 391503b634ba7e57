"""
Events of Samen Onder Handbereik: content is announced, and read by whom it is for.

An event has no seal: who speaks is known from the TLS connection alone. So reading proves arrival
less than a signed receipt does; `docs/decisions.md` says what is made of it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid5

import orjson

from gateway import errors
from gateway.core import ids, outgoing
from gateway.core.accept import Accepted, Acceptor
from gateway.core.parts import Parts
from gateway.model.envelop import type_of
from gateway.model.gebeurtenis import FUNCTIES, MEDIA_TYPE, Functie, gespeld, normaal
from gateway.model.partner import Partner
from gateway.ports import FINAL, DeliveryRecord, Outcome, State, Unsealed

ID = re.compile(r"[^\x00-\x1f\x7f]{1,40}")  # as long as of any message
REQUEUED = "opnieuw-aangeboden"  # the event in the store
TECHNICAL = frozenset({errors.DeadlinePassed.code, errors.GatewayError.code})


def announcement(parts: Parts, record: DeliveryRecord, receiver: Partner) -> bytes:
    """
    The event that tells a receiver what it can read, and where.

    Its id is that of the delivery, as long as it is tried; made due again by a person or by the
    sender, it gets another (SOH: an id is not used again when an event is offered again). The
    subject stays, so that the receiver sees that it is the same.
    """
    event = orjson.loads(outgoing.document(parts, record))
    pad = next(f.pad for f in FUNCTIES if f.soort == record.message.kind)
    steps = parts.store.events_of(record.message.id)
    again = sum(step.name == REQUEUED and step.delivery == record.id for step in steps)
    told = {
        "id": str(uuid5(UUID(record.id), str(again))) if again else record.id,
        "subject": f"{pad}/{record.id}",
        "datacontenttype": "application/json",
        "data": {
            "datumPublicatie": ids.instant(record.message.received_at),
            "versie": "1",
            "url": f"{parts.address}/soh/v1/{pad}/{record.id}",
        },
    }
    return orjson.dumps(gespeld({**event, **told}, receiver.spelling))


@dataclass(frozen=True, slots=True)
class Status:
    """Where an interaction stands, in the words of SOH."""

    status: str
    fout: str = ""
    type_fout: str = ""


@dataclass(frozen=True, slots=True)
class Events:
    """What SOH partners may do. `fetch` reads the JSON that a partner offers at an address."""

    parts: Parts
    acceptor: Acceptor
    fetch: Callable[[Partner, str], Any]

    def offer(self, event: Any, digest: str, *, tls_oin: str) -> Accepted | None:
        """
        Take in an event with its content, or with the address of it; `digest` is of its bytes.

        An event that says that something of ours was seen settles that, and gives None. Raises
        Refused for such an event; Unavailable when nothing was stored.
        """
        said = normaal(event)
        name = said.get("type") if isinstance(said, dict) else None
        functie = next((f for f in FUNCTIES if name in f.gezien), None)
        if functie is None:
            return self.acceptor.take(
                lambda now: self._opened(said, tls_oin, now), digest, tls_oin, again=True
            )
        self._seen(said, self._sender(said, tls_oin), functie)
        return None

    def status(self, oin: str, interaction: str) -> Status:
        """Of an event this organisation offered. Raises NotFound."""
        id, store = normaal({"id": interaction})["id"], self.parts.store
        found = store.find_receipt(oin, id) or store.find_named(oin, id)
        message = store.message(found.internal_id) if found else None
        if message is None:
            raise errors.NotFound()
        if message.signer_oin != oin:
            return Status("OK")  # that something of ours was seen, is done when it is told
        deliveries = store.deliveries_of(message.id)
        if dead := next((one for one in deliveries if one.state is State.DOOD), None):
            technical = dead.reason.partition(":")[0] in TECHNICAL
            return Status("ERROR", dead.reason, "TECHNISCH" if technical else "FUNCTIONEEL")
        done = all(one.state in FINAL for one in deliveries)
        return Status("OK" if done else "IN_PROGRESS")

    def read(self, partner: Partner, delivery_id: str, pad: str) -> bytes:
        """
        The content that was announced to the partner, as often as it likes until it is destroyed.

        Every reading is an event in the store before the content goes out; the first delivers it.
        Raises NotFound.
        """
        record = self._own(partner, delivery_id, pad)
        try:
            event = orjson.loads(outgoing.document(self.parts, record))
        except errors.BodyDestroyed as error:
            raise errors.NotFound(error.detail) from error
        self._arrived(record, "opgehaald", "De ontvanger heeft de inhoud opgehaald.")
        return orjson.dumps(event["data"])

    def _opened(self, said: Any, tls_oin: str, now: datetime) -> Unsealed:
        """An event as a message that its TLS client wrote."""
        sender = self._sender(said, tls_oin)
        kind = next((f.soort for f in FUNCTIES if f.aangekondigd == said["type"]), None)
        if kind is None:
            raise errors.UnknownDocument("Het veld `type` noemt geen gebeurtenis met inhoud.")
        data = said.get("data")
        if not isinstance(data, dict):
            raise errors.InvalidDocument("Een verplicht veld ontbreekt: data.", path="$.data")
        envelope = {
            "id": said["id"],
            "type": type_of(kind),
            "datacontenttype": "application/json",
            "aud": self.parts.oin,
            "iat": now.timestamp(),
        }
        # What an event says, whatever its id and time: so a re-offer is known.
        told = [said.get("subject"), data]
        digest = ids.digest_of(orjson.dumps(told, option=orjson.OPT_SORT_KEYS))
        if "id" not in data and isinstance(url := data.get("url"), str):
            data = self.fetch(sender, url)
        return Unsealed(sender, envelope, b"", orjson.dumps({**said, "data": data}), digest)

    def _sender(self, said: Any, tls_oin: str) -> Partner:
        """The system that `source` names, of the organisation at the other end."""
        if not isinstance(said, dict):
            raise errors.InvalidDocument("Een gebeurtenis is een JSON-object.")
        for name in ("id", "source", "type"):
            if not isinstance(said.get(name), str):
                raise errors.InvalidDocument(f"Een verplicht veld ontbreekt: {name}.", path=name)
        if not ID.fullmatch(said["id"]):
            raise errors.InvalidDocument("Een id heeft een tot veertig leesbare tekens.", path="id")
        for partner in self.parts.partners.values():
            source = f"/oin/{partner.oin}/systeem/{quote(partner.systeem, safe='')}"
            if partner.oin == tls_oin and said["source"] == source:
                return partner
        raise errors.EnvelopeMismatch("De bron is een ander dan de TLS-client.", path="source")

    def _seen(self, said: dict[str, Any], receiver: Partner, functie: Functie) -> None:
        pad, _, delivery_id = str(said.get("subject")).partition("/")
        if pad != functie.pad:
            raise errors.NotFound()
        record = self._own(receiver, delivery_id, pad)
        what = said["type"].rpartition("-")[2]
        self._arrived(record, what, f"De ontvanger meldt: {what}.")
        self.parts.store.add_name(receiver.oin, said["id"], record.message.id)

    def _own(self, partner: Partner, delivery_id: str, pad: str) -> DeliveryRecord:
        """What can be read by this partner at this place. Raises NotFound."""
        record = outgoing.find(self.parts, delivery_id)
        kinds = [f.soort for f in FUNCTIES if f.pad == pad]
        if (
            record.receiver != partner.name
            or record.message.kind not in kinds
            or record.content_type != MEDIA_TYPE
            or record.state in (State.VERVALLEN, State.INGETROKKEN)
        ):
            raise errors.NotFound()
        return record

    def _arrived(self, record: DeliveryRecord, how: str, text: str) -> None:
        store, now = self.parts.store, self.parts.now()
        store.note_reading(record, how=how, now=now)
        # Proof of arrival also settles what was given up meanwhile.
        if record.state not in FINAL:
            store.settle(record.id, Outcome(State.AFGELEVERD, text, status=200), now=now)
