"""
The way out: one due delivery becomes an outcome.

    1 still due                              5 send, announce, or leave in the postbus
    2 open the parcel from the bus           6 verify the receipt
    3 still allowed; strip and render, once  7 record, one transaction
    4 seal with the current keys             8 the caller acknowledges
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog

from gateway import errors, ports
from gateway.core import breaker, outgoing, samen
from gateway.core.events import announcement
from gateway.core.parts import Parts
from gateway.core.policy import Ruling, strip
from gateway.core.retry import Retry
from gateway.model.envelop import Bericht
from gateway.model.gebeurtenis import MEDIA_TYPE
from gateway.model.partner import Partner
from gateway.ports import DeliveryRecord, Outcome, State

LEASE_S = 30.0  # of a worker that died: then another may try. A slower push is one the receiver gets twice
OFFERED_S = 300.0  # what a broker keeps without an outcome is offered again

MAX_BEGUN = 10  # tries without an outcome: innocents die with a worker too, and need room

PERMANENT = frozenset({400, 403, 404, 405, 409, 410, 413, 415, 422})
"""HTTP statuses that will be the same next time; every other failure is tried again."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Brings deliveries to their receivers, and tells the bus which are due (`ports.Source`)."""

    parts: Parts
    transport: ports.Transport
    retry: Retry

    def claim(self, limit: int) -> list[str]:
        return self.parts.store.claim(limit=limit, lease_s=LEASE_S, now=self.parts.now())

    def unclaim(self, ids: Sequence[str]) -> None:
        self.parts.store.unclaim(ids, now=self.parts.now())

    def offered(self, ids: Sequence[str]) -> None:
        self.parts.store.renew(ids, lease_s=OFFERED_S, now=self.parts.now())

    def receiver_of(self, delivery_id: str) -> str:
        return outgoing.find(self.parts, delivery_id).receiver

    def pack(self, delivery_id: str) -> bytes:
        return outgoing.pack(self.parts, outgoing.find(self.parts, delivery_id))

    def expire(self) -> None:
        """Give up what nobody tries and is beyond its deadline."""
        for delivery in self.parts.store.expire(now=self.parts.now()):
            log.warning("delivery_expired", delivery=delivery)

    def deliver(self, taken: ports.Taken) -> Outcome | None:
        """
        Try one delivery once; None when it was not due any more.

        Raises:
            StoreUnavailable: nothing was recorded; the delivery will be offered again.
        """
        began = time.monotonic()
        # (1) still due; from here on the lease is ours
        begun = self.parts.store.begin(taken.delivery_id, lease_s=LEASE_S, now=self.parts.now())
        if not begun:
            return None
        record = outgoing.find(self.parts, taken.delivery_id)
        try:
            if begun > MAX_BEGUN:
                raise errors.Quarantined(f"Na {MAX_BEGUN} pogingen was er nog geen uitkomst.")
            # (2) a parcel that we signed, for this delivery
            bericht = outgoing.unpack(self.parts, taken.token, record)
            # (3) doelbinding as it is today; the document as it was made the first time
            receiver, ruling, allowed = self._allowed(bericht, record)
            if not record.digest:
                rest, complete = samen.others(self.parts, record)
                allowed = self._joined(allowed, rest, complete)
                made = self._rendered(allowed, record, receiver, ruling)
                kept = outgoing.keep(self.parts, record, made, [other.id for other in rest])
                if kept is None:
                    return None  # goes along with another, or another went first
                record = kept
            announced = receiver.transport == "events" and record.content_type == MEDIA_TYPE
            if record.pull and not announced:
                outcome = Outcome(State.ONDERWEG, "Ligt in de postbus van de ontvanger.")
            else:
                # The lease covers one push, not three.
                send = self._announce if announced else self._send
                outcome = self.retry.quickly(
                    partial(send, record, receiver), between=partial(self._renew, record.id)
                )
        except errors.StoreUnavailable:
            raise
        except (errors.PartnerUnavailable, errors.ReceiptInvalid) as error:
            breaker.failed(self.parts, record, error, self.retry)
            outcome = self._failed(error, record)
        except Exception as error:  # noqa: BLE001 (a bug must not make a delivery spin)
            outcome = self._failed(error, record)
        # (7) attempt, outcome and the next of the lane in one transaction; (8) is the worker's
        return self._settled(record, outcome, began)

    def _joined(self, first: Bericht, rest: list[DeliveryRecord], complete: bool) -> Bericht:
        if complete and not rest:
            return first
        read = ((outgoing.stored(self.parts, record), record) for record in rest)
        return samen.joined(first, [self._allowed(*each)[2] for each in read], complete=complete)

    def _settled(self, record: DeliveryRecord, outcome: Outcome, began: float) -> Outcome:
        outcome = replace(outcome, duration_ms=(time.monotonic() - began) * 1000)
        self.parts.store.settle(record.id, outcome, now=self.parts.now())
        about = {"delivery": record.id, "partner": record.receiver, "state": outcome.state}
        log.info("delivery_settled", **about, code=outcome.code)
        return outcome

    def _allowed(self, bericht: Bericht, record: DeliveryRecord) -> tuple[Partner, Ruling, Bericht]:
        """The receiver, the ruling and what it may have. Raises NotAllowed when that is less than at accept."""
        sender = self.parts.partners.get(record.message.sender)
        receiver = self.parts.partners.get(record.receiver)
        if sender is None or receiver is None:
            raise errors.NotAllowed("De afzender of de ontvanger is geen partner meer.")
        ruling = self.parts.policy.decide(bericht, sender, receiver, self.parts.now().date())
        stripped, removed = strip(bericht, ruling)
        if not set(removed) <= set(record.removed):
            raise errors.NotAllowed("De doelbinding is sinds de aanname beperkt.")
        return receiver, ruling, stripped

    def _rendered(
        self, bericht: Bericht, record: DeliveryRecord, receiver: Partner, ruling: Ruling
    ) -> ports.Rendered:
        """In the dialect of the delivery or, if that cannot say what must be, the next."""
        failure: errors.NotExpressible | None = None  # the first: of the dialect that was meant
        for wanted in dict.fromkeys((record.dialect, *receiver.dialects_for(bericht.soort))):
            name, _, root = wanted.partition("#")
            try:
                made = self.parts.dialects[name].render(bericht, root)
                if path := ruling.missed(made.loss):
                    raise errors.NotExpressible("Dit veld moet aankomen.", path=path)
                if len(made.document) > ports.MAX_DOCUMENT:
                    raise errors.NotExpressible("Het document is te groot om te versturen.")
                return made
            except errors.NotExpressible as error:
                failure = failure or error
            except KeyError:
                unknown = errors.NotExpressible(f"Dialect {name} kent deze gateway niet.")
                failure = failure or unknown
        nothing = errors.NotExpressible(f"{receiver.name} heeft geen dialect voor dit bericht.")
        raise failure or nothing

    def _renew(self, delivery_id: str) -> bool:
        return self.parts.store.renew([delivery_id], lease_s=LEASE_S, now=self.parts.now())

    def _send(self, record: DeliveryRecord, receiver: Partner) -> Outcome:
        # (4) a fresh seal around the same document
        sealed = outgoing.seal(self.parts, record, receiver)
        # (5)
        answer = self.transport.push(receiver, sealed)
        # (6) only a receipt about this document proves arrival
        if 200 <= answer.status < 300:
            return outgoing.judged(self.parts, answer.receipt, record, receiver, answer.status)
        return _refused(answer)

    def _announce(self, record: DeliveryRecord, receiver: Partner) -> Outcome:
        """Tell the receiver that there is something to read; reading it is what delivers it."""
        answer = self.transport.announce(receiver, announcement(self.parts, record, receiver))
        if 200 <= answer.status < 300:
            text = "Aangekondigd; de ontvanger haalt de inhoud op."
            return Outcome(State.ONDERWEG, text, status=answer.status)
        return _refused(answer)

    def _failed(self, error: Exception, record: DeliveryRecord) -> Outcome:
        """Dead or later again, as the class of the error says."""
        if not isinstance(error, errors.GatewayError):
            # The text of an exception nobody foresaw may quote a document: only its class is told.
            log.error("delivery_failed", delivery=record.id, error=type(error).__name__)
            error = _Bug()
        # A parcel that does not open is packed anew with the next offer.
        if not (error.transient or isinstance(error, errors.BadSeal)):
            return Outcome(State.DOOD, error.reason(), error.code)
        now, tries = self.parts.now(), record.attempts + 1
        due = self.retry.next_due(tries, now, record.deadline, error.retry_after)
        if due is None:
            passed = errors.DeadlinePassed()
            return Outcome(State.DOOD, f"{passed.reason()} Laatst: {error.reason()}", passed.code)
        return Outcome(State.WACHT, error.reason(), error.code, due=due)


def _refused(answer: ports.Answer) -> Outcome:
    if answer.status in PERMANENT:
        return outgoing.rejected(answer.code, answer.receipt, answer.status)
    raise errors.PartnerUnavailable(f"De ontvanger antwoordt met HTTP {answer.status}.")


class _Bug(errors.GatewayError):
    """An exception that nobody foresaw; tried again, because it may be about this moment only."""

    transient = True
