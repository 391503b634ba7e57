"""
The way in: one sealed body becomes a stored message with its deliveries, or a signed refusal.

    1 TLS identity -> partner           4 envelope: audience, time       7 sign the receipt
    2 open the seal; signer = client    5 dialect, parse, who wrote it   8 store, one transaction
    3 a repeat? the stored receipt      6 routing and doelbinding        9 answer

A partner without HTTP hands in a document by its folder: no seal then, and the same steps.
"""

import traceback
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import orjson
import structlog

from gateway import errors, ports
from gateway.core import ids, routing, samen
from gateway.core.parts import Parts
from gateway.core.policy import Ruling, strip
from gateway.model import media, schrijf
from gateway.model.envelop import Bericht, Systeem, kind_of, source_of, source_oin
from gateway.model.partner import Partner
from gateway.ports import MessageRecord, Parsed, Unsealed

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


@dataclass(slots=True)
class _Read:
    """How far a document was read: enough to answer it in its own standard."""

    dialect: str = ""
    id: str = ""
    writer: Systeem | None = None


Allowed = list[tuple[Ruling, ports.NewDelivery]]


@dataclass(frozen=True, slots=True)
class Acceptor:
    """
    Takes messages in. `houses` maps the OIN of every Zorg- en Veiligheidshuis that exists on a day
    to its code.
    """

    parts: Parts
    houses: Callable[[date], Mapping[str, str]]

    def accept(self, body: bytes, *, tls_oin: str) -> Accepted:
        """
        Accept or refuse one sealed body from the TLS client `tls_oin`.

        A refusal is returned, with its signed receipt. Unavailable is raised: nothing was stored,
        and the sender tries again.
        """
        sealer = self.parts.sealer
        return self.take(lambda now: sealer.open(body, now=now), ids.digest_of(body), tls_oin)

    def accept_file(self, document: bytes, *, partner: Partner) -> Accepted:
        """
        Accept or refuse a document that lay in the folder of `partner`, as `accept` does.

        Who may write there is for the operating system to decide. The partner signed nothing, so
        the gateway signs and keeps what it can witness: who, which document and when.
        """

        def found(now: datetime) -> Unsealed:
            _check_size(document)
            dialect = self._recognised(document, partner, "", _Read())
            bericht = _parsed(dialect, document).bericht
            envelope = {
                "id": bericht.id,
                "type": bericht.type,
                "aud": self.parts.oin,
                "datacontenttype": media.media_type(document),
                "iat": now.timestamp(),
            }
            digest = ids.digest_of(document)
            witnessed = {"map": partner.name, "id": bericht.id, "digest": digest}
            witnessed["tijd"] = ids.instant(now)
            jws = self.parts.sealer.sign(orjson.dumps(witnessed))
            return Unsealed(partner, envelope, jws, document, digest)

        return self.take(found, ids.digest_of(document), partner.oin)

    def take(
        self, opener: Callable[[datetime], Unsealed], digest: str, oin: str, *, again: bool = False
    ) -> Accepted:
        """
        Accept or refuse, as `accept` does, what `opener` opens of the organisation at the other end.

        `digest` is of what was offered, for a refusal. With `again` a message may come again under
        another id: its digest tells that it is the same.
        """
        parts, now, message_id = self.parts, self.parts.now(), ""
        opened, read = None, _Read()
        try:
            # (1) who is at the other end?
            if all(partner.oin != oin for partner in self.parts.partners.values()):
                raise errors.UnknownPartner()
            # (2) open, which checks form and size too
            opened = opener(now)
            _check_size(opened.document)
            message_id, digest, sender = opened.envelope["id"], opened.digest, opened.signer
            # no intermediaries are registered, and the signer is one system of the organisation
            if sender.oin != oin:
                raise errors.UnknownPartner("De ondertekenaar is een ander dan de TLS-client.")
            # (3) seen before? asked before any time check: a late repeat gets its receipt too
            if stored := self._known(oin, message_id, digest if again else ""):
                return _repeat(stored, digest)
            # (4) meant for us, and signed lately
            self._check_envelope(opened.envelope, now)
            # (5) what does it say, and is its writer the sender?
            parsed = self._read(opened, read)
            # (6) who should get it, and who may
            parts.policy.may_send(sender, parsed.bericht.soort)
            asked = routing.question(parts, parsed.bericht, sender)
            parsed = replace(parsed, bericht=self._completed(opened, parsed.bericht, asked, now))
            allowed = self._allowed(parsed.bericht, sender, asked, now)
            # (7) the proof of acceptance
            receipt = self._receipt(message_id, digest, now, oin, answer=self._told(read))
            # (8) all or nothing; another request may have been first
            message = self._message(opened, parsed, allowed, receipt, now)
            message = replace(message, names=(digest,) if again else ())
            if stored := parts.store.accept(message):
                if again:
                    parts.store.add_name(oin, message_id, stored.internal_id)
                return _repeat(stored, digest)
            # (9) the API answers 202 with these bytes
            kind = message.kind
            log.info("message_accepted", message=message.id, partner=sender.name, kind=kind)
            return Accepted(receipt, message.id, False, None)
        except errors.Refused as error:
            # A refusal is recorded and signed too; nothing else is stored.
            parts.store.refused(sender=oin, code=error.code, digest=digest, at=now)
            log.warning("message_refused", code=error.code, partner=oin)
            if opened and not read.dialect:  # an answer in its own standard, if it can be told
                with suppress(errors.Refused):
                    self._recognised(opened.document, opened.signer, opened.envelope["id"], read)
            answer = self._told(read, error)
            receipt = self._receipt(message_id, digest, now, oin, error.code, answer)
            return Accepted(receipt, None, False, error)

    def _known(self, oin: str, message_id: str, digest: str) -> ports.StoredReceipt | None:
        """
        The message of this id or, when there is a digest, of another that said the same.

        What is dead of a message that is offered again is due again.
        """
        store = self.parts.store
        found = store.find_receipt(oin, message_id)
        if found or not digest or (found := store.find_named(oin, message_id)):
            return found
        if found := store.find_named(oin, digest):
            store.add_name(oin, message_id, found.internal_id)
            for delivery in store.deliveries_of(found.internal_id):
                store.requeue(
                    delivery.id, actor=f"opnieuw aangeboden door {oin}", now=self.parts.now()
                )
        return found

    def _check_envelope(self, envelope: dict[str, Any], now: datetime) -> None:
        if envelope["aud"] != self.parts.oin:
            raise errors.WrongAudience()
        if envelope["iat"] < (now - MAX_AGE).timestamp():
            raise errors.Expired()
        if envelope["iat"] > (now + MAX_AHEAD).timestamp():
            raise errors.FromTheFuture()

    def _recognised(self, document: bytes, sender: Partner, id: str, read: _Read) -> ports.Dialect:
        spoken = (dialect for n, dialect in self.parts.dialects.items() if n in sender.spoken)
        dialect = next((d for d in spoken if d.recognises(document)), None)
        if dialect is None:
            for other in self.parts.dialects.values():
                other.recognises(document)  # raises what nobody can read: that is the reason
            raise errors.UnknownDocument()
        read.dialect, read.id = dialect.name, id
        read.writer = Systeem(organisatie=sender.oin, applicatie=sender.systeem)
        return dialect

    def _read(self, opened: Unsealed, read: _Read) -> Parsed:
        """What it says, if the signer may write it; a system's dialects are part of its agreement."""
        sender, envelope = opened.signer, opened.envelope
        dialect = self._recognised(opened.document, sender, envelope["id"], read)
        parsed = _parsed(dialect, opened.document)
        read.writer = parsed.bericht.data.afzender
        bericht = parsed.bericht
        # A partner writes as itself, under a registered name, or for a house it works for.
        writers = {sender.oin, *sender.senders}
        day = self.parts.now().date()
        houses = {oin for oin, house in self.houses(day).items() if sender.works_for(house)}
        source = routing.organisation(self.parts, source_oin(bericht.source), day)
        writer = routing.organisation(self.parts, bericht.data.afzender.organisatie, day)
        for path, agrees in (
            ("envelop.id", envelope["id"] == bericht.id),
            ("envelop.type", kind_of(envelope["type"]) == bericht.soort),
            ("envelop.datacontenttype", media.fits(envelope["datacontenttype"], opened.document)),
            ("source", source in writers | {""}),
            ("data.afzender.organisatie", writer in writers | houses),
        ):
            if not agrees:
                raise errors.EnvelopeMismatch(path=path)
        return parsed

    def _completed(
        self, opened: Unsealed, bericht: Bericht, asked: MessageRecord | None, now: datetime
    ) -> Bericht:
        """The message with what the gateway knows better than its document."""
        sender, said = opened.signer, opened.envelope.get
        day = now.date()
        named = routing.organisation(self.parts, bericht.data.ontvanger.organisatie, day)
        house = self.houses(day).get(named)
        area = next(iter(routing.houses(self.parts, bericht, day)), None)
        conversation = asked.conversation if asked else said("conversatieid")
        known = {
            "source": source_of(sender.oin, sender.systeem),
            "huis": (asked and asked.house) or house or bericht.huis or said("huis") or area,
            "conversatieid": conversation or bericht.conversatieid or ids.new_id(now),
            "traceparent": bericht.traceparent or said("traceparent"),
        }
        return bericht.model_copy(update=known)

    def _allowed(
        self, bericht: Bericht, sender: Partner, asked: MessageRecord | None, now: datetime
    ) -> Allowed:
        """The deliveries doelbinding allows; NotAllowed when it allows none of those proposed."""
        policy, kind, case = self.parts.policy, bericht.soort, bericht.data.zaak()
        ordered_by = case if case and kind in policy.ordered else ids.new_id(now)
        waits = samen.held_until(self.parts, kind, asked, sender.name, now)
        allowed: Allowed = []
        refusal: errors.NotAllowed | None = None
        for receiver in routing.receivers(self.parts, bericht, sender, asked, now.date()):
            try:
                ruling = policy.decide(bericht, sender, receiver, now.date())
                _, removed = strip(bericht, ruling)
            except errors.NotAllowed as error:
                log.info("receiver_excluded", partner=receiver.name, kind=kind)
                refusal = error
                continue
            delivery = ports.NewDelivery(
                id=ids.new_id(now),
                receiver=receiver.name,
                dialect=receiver.dialects_for(kind, asked.root if asked else "")[0],
                lane=ids.lane(self.parts.lane_key, receiver.name, sender.oin, ordered_by),
                deadline_hours=receiver.deadline_hours,
                pull=receiver.transport != "push",
                removed=removed,
                not_before=_later(ruling.not_before, waits),
            )
            allowed.append((ruling, delivery))
        if refusal and not allowed:
            raise refusal
        return allowed

    def _message(
        self, opened: Unsealed, parsed: Parsed, allowed: Allowed, receipt: bytes, now: datetime
    ) -> ports.NewMessage:
        """Everything that is stored; the bodies sealed under a key of their own."""
        bericht, vault, internal_id = parsed.bericht, self.parts.vault, ids.new_id(now)
        destroy_by = min(ruling.destroy_by for ruling, _ in allowed)  # the strictest term holds
        key, wrapped = vault.new_key(destroy_by)
        canonical = self.parts.sealer.sign(orjson.dumps(schrijf(bericht)))

        def seal(body: bytes, part: str) -> bytes:
            return vault.seal(key, body, context=f"{internal_id}:{part}")

        return ports.NewMessage(
            id=internal_id,
            message_id=bericht.id,
            signer_oin=opened.signer.oin,
            sender=opened.signer.name,
            digest=opened.digest,
            kind=bericht.soort,
            dialect=parsed.dialect,
            root=parsed.root,
            house=bericht.huis,
            conversation=bericht.conversatieid or "",
            answers=bericht.antwoordop,
            source=bericht.source,
            received_at=now,
            destroy_by=destroy_by,
            wrapped_key=wrapped,
            sealed_jws=seal(opened.inner_jws, "jws"),
            sealed_document=seal(opened.document, "document"),
            sealed_canonical=seal(canonical, "canoniek"),
            receipt=receipt,
            loss=parsed.loss,
            deliveries=tuple(delivery for _, delivery in allowed),
            replaces=bericht.data.herroept(),
            grounds=" | ".join(dict.fromkeys(ruling.grounds for ruling, _ in allowed)),
        )

    def _receipt(
        self, id: str, digest: str, now: datetime, to: str, code: str = "", answer: str = ""
    ) -> bytes:
        outcome, time, own = (
            "geweigerd" if code else "geaccepteerd",
            ids.instant(now),
            self.parts.oin,
        )
        receipt = ports.Receipt(id, digest, outcome, time, own, to, code, answer)
        return self.parts.sealer.sign_receipt(receipt)

    def _told(self, read: _Read, error: errors.Refused | None = None) -> str:
        """What the standard of the document wants in the receipt, base64; empty when nothing."""
        acknowledge = self.parts.acknowledges.get(read.dialect)
        if acknowledge is None or read.writer is None:
            return ""
        now = self.parts.now()
        ours = {"oin": self.parts.oin, "id": ids.new_id(now), "time": ids.instant(now)}
        with suppress(
            errors.NotExpressible
        ):  # a name StUF has no room for: the receipt says it all
            return b64encode(acknowledge(read.writer, read.id, error, **ours)).decode()
        return ""


def _repeat(stored: ports.StoredReceipt, digest: str) -> Accepted:
    if stored.digest != digest:
        raise errors.IdReused()
    log.info("message_repeated", message=stored.internal_id)
    return Accepted(stored.receipt, stored.internal_id, True, None)


def _check_size(document: bytes) -> None:
    if len(document) > ports.MAX_DOCUMENT:
        raise errors.TooLarge(f"Een document is hoogstens {ports.MAX_DOCUMENT} bytes.")
    if not document.strip():
        raise errors.Empty()


def _parsed(dialect: ports.Dialect, document: bytes) -> Parsed:
    """What a document says. What no reader of ours foresaw is refused: it must not come again."""
    try:
        return dialect.parse(document)
    except errors.GatewayError:
        raise
    except Exception as bug:  # noqa: BLE001 (of a file by folder nobody would hear)
        # Its text may quote the document: only its class and place are told.
        place = traceback.extract_tb(bug.__traceback__)[-1]
        log.error(
            "document_not_read", error=type(bug).__name__, place=f"{place.filename}:{place.lineno}"
        )
        told = "De gateway kan dit document niet lezen; haar beheerder is gewaarschuwd."
        raise errors.InvalidDocument(told) from None


def _later(day: date | None, moment: datetime | None) -> datetime | None:
    start = datetime.combine(day, time(), UTC) if day else None
    return max(filter(None, (start, moment)), default=None)
