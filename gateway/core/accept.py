"""
The way in: one sealed body becomes a stored message with its deliveries, or a signed refusal.

    1 TLS identity -> partner           4 envelope: audience, time       7 sign the receipt
    2 open the seal; signer = client    5 dialect, parse, who wrote it   8 store, one transaction
    3 a repeat? the stored receipt      6 routing and doelbinding        9 answer
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
import structlog

from gateway import errors, ports
from gateway.core import ids
from gateway.core.policy import Policy, Ruling, strip
from gateway.core.routing import Routing
from gateway.model import schrijf
from gateway.model.envelop import Bericht, kind_of, source_of, source_oin

MAX_AGE = timedelta(days=4)  # chain partners retry for 48 hours, and a weekend may lie between
MAX_AHEAD = timedelta(minutes=5)  # clocks without NTP

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The signed answer to a body; `error` says why it was refused, if it was."""

    receipt: bytes
    internal_id: str | None
    duplicate: bool
    error: errors.Refused | None


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A message that was read: what it says, and what it answers."""

    opened: ports.Unsealed
    parsed: ports.Parsed
    question: ports.MessageRecord | None
    bericht: Bericht
    now: datetime


Allowed = list[tuple[Ruling, ports.NewDelivery]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptor:
    """Takes messages in. `houses` maps the OIN of a Zorg- en Veiligheidshuis to its code."""

    store: ports.Store
    sealer: ports.Sealer
    vault: ports.Vault
    partners: ports.Partners
    adapters: Sequence[ports.Adapter]
    routing: Routing
    policy: Policy
    clock: ports.Clock
    own_oin: str
    lane_key: bytes
    houses: Mapping[str, str]

    def accept(self, body: bytes, *, tls_oin: str) -> Accepted:
        """
        Accept or refuse one sealed body from the TLS client `tls_oin`.

        A refusal is returned, with its signed receipt. Unavailable is raised: nothing was stored,
        and the sender tries again.
        """
        now = self.clock.now()
        opened: ports.Unsealed | None = None
        try:
            # (1) who is the TLS client?
            if not self.partners.by_oin(tls_oin):
                raise errors.UnknownPartner()
            # (2) open, which checks form and size too; the signer is the client itself, for no
            # intermediaries are registered, and it is one system of the organisation
            opened = self.sealer.open(body, now=now)
            if opened.signer.oin != tls_oin:
                raise errors.UnknownPartner("De ondertekenaar is een ander dan de TLS-client.")
            # (3) seen before? asked before any time check: a late repeat gets its receipt too
            if stored := self.store.find_receipt(tls_oin, opened.envelope["id"]):
                return _repeat(stored, opened)
            # (4) meant for us, and signed lately
            self._check_envelope(opened, now)
            # (5) what does it say, and is its writer the sender?
            parsed = self._read(opened)
            # (6) who should get it, and who may
            arrival = self._complete(opened, parsed, now)
            allowed = self._allowed(arrival)
            # (7) the proof of acceptance
            receipt = self._receipt(tls_oin, opened, opened.digest, now)
            # (8) all or nothing; another request may have been first
            message = self._message(arrival, allowed, receipt)
            if stored := self.store.accept(message):
                return _repeat(stored, opened)
            # (9) the API answers 202 with these bytes
            log.info(
                "message_accepted", message=message.id, partner=message.sender, kind=message.kind
            )
            return Accepted(receipt, message.id, False, None)
        except errors.Refused as error:
            # A refusal is recorded and signed too; nothing else is stored.
            digest = opened.digest if opened else ids.digest_of(body)
            self.store.refused(sender=tls_oin, code=error.code, digest=digest, at=now)
            log.warning("message_refused", code=error.code, partner=tls_oin)
            receipt = self._receipt(tls_oin, opened, digest, now, code=error.code)
            return Accepted(receipt, None, False, error)

    def _check_envelope(self, opened: ports.Unsealed, now: datetime) -> None:
        if opened.envelope["aud"] != self.own_oin:
            raise errors.WrongAudience()
        if opened.envelope["iat"] < (now - MAX_AGE).timestamp():
            raise errors.Expired()
        if opened.envelope["iat"] > (now + MAX_AHEAD).timestamp():
            raise errors.FromTheFuture()

    def _read(self, opened: ports.Unsealed) -> ports.Parsed:
        """What it says, if the signer may write it; a system's dialects are part of its agreement."""
        sender, envelope = opened.signer, opened.envelope
        recognised = ((a, a.recognises(opened.document)) for a in self.adapters)
        adapter, dialect = next(((a, found[0]) for a, found in recognised if found), (None, ""))
        if adapter is None or dialect not in sender.dialects.values():
            raise errors.UnknownDocument()
        parsed = adapter.parse(opened.document, dialect=dialect)
        bericht = parsed.bericht
        for name, agrees in (
            ("id", envelope["id"] == bericht.id),
            ("type", kind_of(envelope["type"]) == bericht.soort),
            ("datacontenttype", _fits(envelope["datacontenttype"], opened.document)),
        ):
            if not agrees:
                raise errors.EnvelopeMismatch(path=f"envelop.{name}")
        # A partner writes as itself, under a registered name, or for a house it works for.
        writers = {sender.oin, *sender.senders}
        houses = {oin for oin, house in self.houses.items() if sender.works_for(house)}
        source = _organisation(source_oin(bericht.source))
        if source not in writers | {""}:
            raise errors.EnvelopeMismatch(path="source")
        if _organisation(bericht.data.afzender.organisatie) not in writers | houses:
            raise errors.EnvelopeMismatch(path="data.afzender.organisatie")
        return parsed

    def _complete(self, opened: ports.Unsealed, parsed: ports.Parsed, now: datetime) -> _Arrival:
        """The message with what the gateway knows better than its document."""
        bericht, sender, said = parsed.bericht, opened.signer, opened.envelope.get
        self.policy.may_send(sender, bericht.soort)
        question = self.routing.question(bericht, sender)
        house = question.house if question else None
        house = house or self.houses.get(_organisation(bericht.data.ontvanger.organisatie))
        conversation = question.conversation if question else said("conversatieid")
        known = {
            "source": source_of(sender.oin, sender.systeem),
            "huis": house or bericht.huis or said("huis"),
            "conversatieid": conversation or bericht.conversatieid or ids.new_id(now),
            "traceparent": bericht.traceparent or said("traceparent"),
        }
        return _Arrival(opened, parsed, question, bericht.model_copy(update=known), now)

    def _allowed(self, arrival: _Arrival) -> Allowed:
        """The deliveries doelbinding allows; NotAllowed when it allows none of those proposed."""
        bericht, sender, now = arrival.bericht, arrival.opened.signer, arrival.now
        kind, case = bericht.soort, bericht.data.zaak()
        ordered_by = case if case and kind in self.policy.ordered else ids.new_id(now)
        allowed: Allowed = []
        refusal: errors.NotAllowed | None = None
        for receiver in self.routing.receivers(bericht, sender, arrival.question):
            try:
                ruling = self.policy.decide(bericht, sender, receiver, now.date())
                _, removed = strip(bericht, ruling.categories)
            except errors.NotAllowed as error:
                log.info("receiver_excluded", partner=receiver.name, kind=kind)
                refusal = error
                continue
            delivery = ports.NewDelivery(
                id=ids.new_id(now),
                receiver=receiver.name,
                dialect=receiver.dialect_for(kind),
                lane=ids.lane(self.lane_key, receiver.name, sender.oin, ordered_by),
                deadline_hours=receiver.deadline_hours,
                pull=receiver.transport == "postbus",
                removed=removed,
            )
            allowed.append((ruling, delivery))
        if refusal and not allowed:
            raise refusal
        return allowed

    def _message(self, arrival: _Arrival, allowed: Allowed, receipt: bytes) -> ports.NewMessage:
        """Everything that is stored; the bodies sealed under a key of their own."""
        opened, bericht = arrival.opened, arrival.bericht
        internal_id = ids.new_id(arrival.now)
        destroy_by = min(ruling.destroy_by for ruling, _ in allowed)  # the strictest term holds
        key, wrapped = self.vault.new_key(destroy_by)
        canonical = self.sealer.sign(orjson.dumps(schrijf(bericht)))

        def seal(body: bytes, part: str) -> bytes:
            return self.vault.seal(key, body, context=f"{internal_id}:{part}")

        return ports.NewMessage(
            id=internal_id,
            message_id=bericht.id,
            signer_oin=opened.signer.oin,
            sender=opened.signer.name,
            digest=opened.digest,
            kind=bericht.soort,
            dialect=arrival.parsed.dialect,
            root=arrival.parsed.root,
            house=bericht.huis,
            conversation=bericht.conversatieid or "",
            answers=bericht.antwoordop,
            source=bericht.source,
            received_at=arrival.now,
            destroy_by=destroy_by,
            wrapped_key=wrapped,
            sealed_jws=seal(opened.inner_jws, "jws"),
            sealed_document=seal(opened.document, "document"),
            sealed_canonical=seal(canonical, "canoniek"),
            receipt=receipt,
            loss=arrival.parsed.loss,
            deliveries=tuple(delivery for _, delivery in allowed),
            grounds=" | ".join(dict.fromkeys(ruling.grounds for ruling, _ in allowed)),
        )

    def _receipt(
        self,
        audience: str,
        opened: ports.Unsealed | None,
        digest: str,
        now: datetime,
        *,
        code: str = "",
    ) -> bytes:
        message_id = opened.envelope["id"] if opened else ""
        outcome, time = "geweigerd" if code else "geaccepteerd", ids.instant(now)
        return self.sealer.sign_receipt(
            ports.Receipt(message_id, digest, outcome, time, self.own_oin, audience, code)
        )


def _repeat(stored: ports.StoredReceipt, opened: ports.Unsealed) -> Accepted:
    if stored.digest != opened.digest:
        raise errors.IdReused()
    log.info("message_repeated", message=stored.internal_id)
    return Accepted(stored.receipt, stored.internal_id, True, None)


def _organisation(name: str) -> str:
    """Test systems in the CORV chain write their OIN with this suffix (domain.md 4.6)."""
    return name.removesuffix("_OTA")


def _fits(content_type: str, document: bytes) -> bool:
    """Whether an XML media type comes with XML, and any other with something else."""
    is_xml = document.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    return is_xml == content_type.partition(";")[0].strip().endswith("xml")
