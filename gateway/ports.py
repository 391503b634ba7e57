"""
What the core speaks to, as protocols, and the records that pass through them.

Times are aware datetimes in UTC; ids are strings; every `bytes` named `sealed` is unreadable without
a key that lives outside the store.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol

from gateway.errors import GatewayError
from gateway.model.envelop import Bericht, Systeem
from gateway.model.partner import Partner

MAX_DOCUMENT = 35 * 2**20
"""Bytes of one document, the cap of the chain on a whole message (JZ forum)."""


class State(StrEnum):
    """Where a delivery is; a final one (`FINAL`) never changes."""

    KLAAR = "klaar"  # due now
    ONDERWEG = "onderweg"  # with a worker, or lying in the postbus
    AFGELEVERD = "afgeleverd"
    WACHT = "wacht"  # retried at `due`
    GEPARKEERD = "geparkeerd"  # an earlier one of its lane is not delivered
    DOOD = "dood"  # needs a person
    VERVALLEN = "vervallen"
    INGETROKKEN = "ingetrokken"


FINAL = frozenset({State.AFGELEVERD, State.VERVALLEN, State.INGETROKKEN})
"""States that no longer hold back the rest of the lane. `dood` does: a person decides."""


@dataclass(frozen=True, slots=True)
class Loss:
    """
    One thing that had no place on the other side: never its value.

    `how` is `weg` (gone) or `afgerond` (kept in a coarser form).
    """

    path: str
    category: str = "geen"
    how: str = "weg"
    reason: str = ""


# --- dialects -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parsed:
    """A partner document as canonical message, with what was lost on the way in."""

    dialect: str
    root: str
    bericht: Bericht
    loss: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A canonical message as partner document, valid by its schema, with what was lost."""

    dialect: str
    root: str
    content_type: str
    document: bytes
    loss: tuple[Loss, ...]


class Dialect(Protocol):
    """One format of partners in one version, both ways."""

    @property
    def name(self) -> str:
        """As partners are configured with: `stuf-jz/1.0.9`."""

    def load(self) -> None:
        """Read and compile schemas and mappings now. Raises Misconfigured for one that is wrong."""

    def recognises(self, document: bytes) -> str | None:
        """Root (or kind) of this document; None when it is not of this dialect."""

    def validate(self, document: bytes) -> None:
        """Check shape only, by the schema. Raises InvalidDocument."""

    def parse(self, document: bytes) -> Parsed:
        """Validate and map to canonical. Raises InvalidDocument, UnknownCode."""

    def render(self, bericht: Bericht, root: str = "") -> Rendered:
        """
        Map from canonical and validate; `root` picks a document where several say this kind.

        Raises NotExpressible.
        """


class Acknowledge(Protocol):
    """The answer that a standard wants at once to a document (StUF: Bv03, Fo03)."""

    def __call__(
        self, to: Systeem, about: str, error: GatewayError | None, *, oin: str, id: str, time: str
    ) -> bytes:
        """
        `to` wrote the document and `about` is its id; `oin` is ours, `id` and `time` of the answer.

        Raises NotExpressible.
        """


@dataclass(frozen=True, slots=True)
class Adapter:
    """A partner's dialects; the object `ADAPTER` that an entry point `gateway.adapters` names."""

    name: str
    dialects: tuple[Dialect, ...]


# --- security -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unsealed:
    """An opened and verified message: who signed it, what it says, what it holds."""

    signer: Partner
    envelope: dict[str, Any]
    inner_jws: bytes
    document: bytes
    digest: str  # SHA-256 of the document, base64url


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    The signed answer to a message. `outcome` is `geaccepteerd` or `geweigerd`; a refusal carries the
    stable code. `id` is empty when the refused body could not be opened. `antwoord` is the answer
    that the sender's own standard wants at once (StUF: Bv03 or Fo03), in base64; empty for others.
    """

    id: str
    digest: str
    outcome: str
    time: str
    issuer: str
    audience: str
    code: str = ""
    antwoord: str = ""


class Sealer(Protocol):
    """Seal profile zvh-jose-1 (docs/seal-profile.md)."""

    def open(self, token: bytes, *, now: datetime) -> Unsealed:
        """
        Decrypt, verify signature, digest, certificate path, validity at `now` and revocation.

        Does *not* check audience and time window: the duplicate check comes before those.
        Raises BadSeal and its children, UnknownPartner.
        """

    def seal(
        self, document: bytes, *, envelope: dict[str, Any], receiver: Partner, now: datetime
    ) -> bytes:
        """Sign the envelope (adding `datadigest`, `aud`, `iat`) and encrypt for the receiver."""

    def sign_receipt(self, receipt: Receipt) -> bytes:
        """A compact JWS. Deterministic bytes are not promised: store what was sent."""

    def verify_receipt(self, token: bytes, *, partner: Partner, now: datetime) -> Receipt:
        """Raises ReceiptInvalid unless signed by a current certificate of `partner`."""

    def sign(self, payload: bytes) -> bytes:
        """A compact JWS of this gateway over any bytes (the canonical message)."""

    def verify_own(self, token: bytes) -> bytes:
        """The payload of `sign`. Raises BadSignature."""

    def wrap_for_bus(self, jws: bytes) -> bytes:
        """JWE (`dir`, A256GCM, the bus key)."""

    def unwrap_from_bus(self, token: bytes) -> bytes:
        """Raises BadSeal."""


class Vault(Protocol):
    """Bodies at rest: a data key per message, wrapped by a key per destroy-by date."""

    def new_key(self, destroy_by: date) -> tuple[bytes, bytes]:
        """`(data key, wrapped key)`; makes the key of that date if it is not there yet."""

    def unwrap(self, wrapped: bytes, destroy_by: date) -> bytes:
        """Raises BodyDestroyed when the key of that date is gone."""

    def seal(self, key: bytes, plaintext: bytes, *, context: str) -> bytes:
        """AES-256-GCM; `context` (message id and part) is authenticated."""

    def open(self, key: bytes, sealed: bytes, *, context: str) -> bytes:
        """Raises BadSeal when the bytes or the context are not what was sealed."""


# --- store ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to be made by `accept`. `lane` is an HMAC, never a case id."""

    id: str
    receiver: str  # partner name
    dialect: str
    lane: str
    deadline_hours: float
    pull: bool  # lies in the postbus instead of being pushed
    removed: tuple[Loss, ...] = ()  # struck out by doelbinding
    not_before: datetime | None = None  # held until then


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A stored message without its bodies."""

    id: str  # internal id (UUIDv7)
    message_id: str  # the sender's id
    signer_oin: str
    sender: str  # partner name
    digest: str
    kind: str
    dialect: str
    root: str
    house: str | None
    conversation: str
    answers: str | None
    source: str
    received_at: datetime
    destroy_by: date
    loss: tuple[Loss, ...]
    grounds: str  # law articles the exchange rests on


@dataclass(frozen=True, slots=True)
class NewMessage(MessageRecord):
    """Everything step 8 of `accept` writes in one transaction."""

    wrapped_key: bytes
    sealed_jws: bytes
    sealed_document: bytes
    sealed_canonical: bytes  # the canonical message, signed by this gateway, sealed
    receipt: bytes
    deliveries: tuple[NewDelivery, ...]
    replaces: str | None = None  # id, at the same signer, of a message that no longer holds
    names: tuple[str, ...] = ()  # what it is also known by at its signer, used once


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """What a repeat is answered with."""

    internal_id: str
    digest: str
    receipt: bytes


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One message for one receiver, as it stands."""

    id: str
    message: MessageRecord
    receiver: str
    dialect: str
    lane: str
    lane_seq: int
    state: State
    reason: str
    code: str  # of the error that made it wait or die; empty when there was none
    attempts: int
    due: datetime | None
    deadline: datetime | None
    pull: bool
    digest: str  # of the rendered document, empty before it is rendered
    root: str
    content_type: str
    loss: tuple[Loss, ...]
    removed: tuple[Loss, ...]
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Bodies:
    """The sealed bodies of a message and, once rendered, of one of its deliveries."""

    wrapped_key: bytes
    sealed_jws: bytes
    sealed_document: bytes
    sealed_canonical: bytes
    sealed_rendered: bytes | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one try of a delivery came to; written with its attempt in one transaction."""

    state: State
    reason: str
    code: str = ""
    due: datetime | None = None
    status: int | None = None  # HTTP status, when there was one
    receipt: bytes | None = None  # the receiver's signed receipt
    duration_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """
    A partner that fails: how often in a row, and until when it is left alone (None: it is not yet).

    `probe` is the one delivery that may be tried meanwhile.
    """

    partner: str
    failures: int
    open_until: datetime | None
    probe: str | None
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One step in the life of a message: a name from a fixed list, ids and codes only."""

    at: datetime
    name: str
    message: str | None
    delivery: str | None
    detail: str  # a code or a sentence without personal data


@dataclass(frozen=True, slots=True)
class Query:
    """A search over messages; every field narrows. `sender` limits a partner to its own."""

    sender: str | None = None
    kind: str | None = None
    state: State | None = None
    message_id: str | None = None
    conversation: str | None = None
    since: datetime | None = None
    limit: int = 50
    after: str | None = None  # internal id of the last row of the previous page


class Store(Protocol):
    """The truth. Every method is one transaction; all raise StoreUnavailable."""

    def find_receipt(self, signer_oin: str, message_id: str) -> StoredReceipt | None:
        """The receipt of an accepted message under this id of this signer."""

    def find_named(self, oin: str, name: str) -> StoredReceipt | None:
        """The receipt of the message that an organisation knows by this other name."""

    def add_name(self, oin: str, name: str, message: str) -> None:
        """Let a message (internal id) be known by another name too; a name stays with its first."""

    def accept(self, message: NewMessage) -> StoredReceipt | None:
        """
        Store a message with its deliveries, lanes, receipt and events, durable on return.

        Returns None when stored, or what is already there under `(signer_oin, message_id)` or one
        of `names` when another request was first; then nothing was written.
        """

    def question_from(self, message_id: str, *, answered_by: str) -> MessageRecord | None:
        """The newest message with the sender's id `message_id` that has a delivery to the partner."""

    def receivers_of(self, signer_oin: str, message_id: str) -> set[str]:
        """The partners with a delivery of a message; empty when there is none under this id."""

    def answers_to(self, question: MessageRecord) -> list[MessageRecord]:
        """The accepted answers to a question, oldest first."""

    def newest_in(self, lanes: Sequence[str]) -> MessageRecord | None:
        """The newest message with a delivery in one of the lanes."""

    def refused(self, *, sender: str, code: str, digest: str, at: datetime) -> None:
        """An event row for a refusal."""

    def claim(self, *, limit: int, lease_s: float, now: datetime) -> list[str]:
        """
        Ids of due lane heads, now `onderweg` until the lease ends; oldest due first.

        Due are `klaar`, `wacht` with `due` passed, and pushed `onderweg` with the lease passed. Of a
        partner that is left alone (`Standing`) none, and once that time is over one, as a probe.
        """

    def unclaim(self, ids: Sequence[str], *, now: datetime) -> None:
        """Give claims back that could not be offered or begun: due at once, no attempt counted."""

    def renew(self, ids: Sequence[str], *, lease_s: float, now: datetime) -> bool:
        """Prolong leases; False when one of the deliveries is no longer due to be sent."""

    def begin(self, delivery_id: str, *, lease_s: float, now: datetime) -> int:
        """
        A worker takes it in hand: how often that happened since its last outcome.

        0 when it is no longer due, or its receiver is left alone (`Standing`): then it is given back.
        """

    def standings(self) -> dict[str, Standing]:
        """The partners that fail, by name."""

    def put_standing(self, standing: Standing) -> None:
        """Keep it; an outcome that shows the partner alive takes it away (`settle`)."""

    def delivery(self, delivery_id: str) -> DeliveryRecord | None: ...

    def message(self, internal_id: str) -> MessageRecord | None: ...

    def find(self, any_id: str) -> list[MessageRecord]:
        """Messages by internal id, sender's id, delivery id or conversation (for `trace`)."""

    def bodies(self, delivery_id: str) -> Bodies: ...

    def save_rendered(
        self,
        delivery_id: str,
        made: Rendered,
        *,
        sealed: bytes,
        digest: str,
        now: datetime,
        carries: Sequence[str] = (),
    ) -> bool:
        """
        Keep our own output before the first attempt; refused (ValueError) if already kept.

        The deliveries it carries are `vervallen` with it; False, and nothing is written, when it is
        final itself by now or one of those was rendered.
        """

    def settle(self, delivery_id: str, outcome: Outcome, *, now: datetime) -> list[str]:
        """
        Record attempt and outcome and, when the delivery is final, release the next of its lane.

        A delivery that is already final keeps its state; returns the ids that became due.
        """

    def note_reading(self, record: DeliveryRecord, *, how: str, now: datetime) -> None:
        """An event row: the receiver read the content."""

    def in_postbus(self, partner: str, *, limit: int) -> list[DeliveryRecord]:
        """Pull deliveries waiting for this partner, oldest first, lane heads only."""

    def requeue(self, delivery_id: str, *, actor: str, now: datetime) -> bool:
        """A dead delivery is due again under the same id, deadline anew; False if not dead."""

    def drop(self, delivery_id: str, *, actor: str, motive: str, now: datetime) -> bool:
        """A dead delivery is given up for good, the next of its lane may go; False if not dead."""

    def expire(self, *, now: datetime) -> list[str]:
        """
        What nobody tries becomes dead past its deadline; returns the ids.

        That is what lies in a postbus, and what is for a partner that is left alone.
        """

    def deliveries_of(self, internal_id: str) -> list[DeliveryRecord]: ...

    def deliveries(self, *, state: State, limit: int) -> list[DeliveryRecord]:
        """Newest first."""

    def attempts_of(self, delivery_id: str) -> list[dict[str, Any]]:
        """Rows with `at, number, outcome, code, reason, status, duration_ms, receipt`."""

    def events_of(self, internal_id: str) -> list[Event]: ...

    def receipt_of(self, internal_id: str) -> bytes | None: ...

    def search(self, query: Query) -> list[MessageRecord]: ...

    def counts(self) -> dict[tuple[str, str], int]:
        """Deliveries by (receiver, state), for metrics and status."""

    def oldest_due(self) -> datetime | None: ...

    def ping(self) -> None:
        """Raises StoreUnavailable."""

    def close(self) -> None: ...


# --- bus ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery in the hands of one worker. `token` is the signed and encrypted parcel."""

    delivery_id: str
    token: bytes
    handle: Any = field(repr=False)


class Source(Protocol):
    """What a bus needs of the store and the core: due deliveries and their parcels."""

    def claim(self, limit: int) -> list[str]: ...

    def unclaim(self, ids: Sequence[str]) -> None: ...

    def offered(self, ids: Sequence[str]) -> None:
        """A broker keeps these now: leave them there for longer than a worker is left alone."""

    def receiver_of(self, delivery_id: str) -> str: ...

    def pack(self, delivery_id: str) -> bytes: ...


class Bus(Protocol):
    """
    Brings due deliveries from the store to workers, each to one worker at a time.

    The store decides what is due; the bus only moves it. Nothing is lost with the bus: an offer
    without outcome is made again when its lease ends.
    """

    def pump(self) -> int:
        """Offer what is due; how many were confirmed. Raises BusUnavailable (claims given back)."""

    def take(self, *, wait_s: float) -> Taken | None:
        """The next delivery for this worker thread, or None after `wait_s` seconds."""

    def done(self, taken: Taken) -> None:
        """The outcome is recorded: acknowledge. Never raises; a lost ack only repeats."""

    def give_back(self, taken: Taken) -> None:
        """Not handled: let another worker have it."""

    def status(self) -> dict[str, int]:
        """How much waits in each queue, by its name. Raises BusUnavailable, TopologyMismatch."""

    def ping(self) -> None:
        """Raises BusUnavailable."""

    def close(self) -> None: ...


# --- transport ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered to a push."""

    status: int
    receipt: bytes  # compact JWS, empty when there was none
    code: str = ""  # the receiver's error code, when it refused


class Transport(Protocol):
    """Sends a sealed message to a partner over mutual TLS."""

    def push(self, partner: Partner, sealed: bytes) -> Answer:
        """Raises PartnerUnavailable (with `retry_after`); a refusal is an Answer."""

    def announce(self, partner: Partner, event: bytes) -> Answer:
        """Tell a partner that there is something to read. Raises PartnerUnavailable."""

    def fetch(self, partner: Partner, url: str) -> bytes:
        """What a partner offers to read, at its own host. Raises Refused, PartnerUnavailable."""
