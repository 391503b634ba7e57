"""The HTTP edge over real mutual TLS on loopback: who is let in, what is answered, what never is."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from gateway import resources
from gateway.api import Services, routes
from gateway.api.app import create_app, create_management_app
from gateway.api.metrics import Metrics
from gateway.api.mtls import MAX_HEAD
from gateway.api.problems import HEADERS
from gateway.api.server import Servers
from gateway.core.accept import Acceptor
from gateway.core.ids import new_id
from gateway.core.outgoing import Outgoing
from gateway.core.policy import Policy
from gateway.core.postbus import Postbus
from gateway.core.routing import Routing
from gateway.errors import (
    BadSeal,
    BusUnavailable,
    CertificateRefused,
    Misconfigured,
    ReceiptInvalid,
    StoreUnavailable,
    UnknownPartner,
)
from gateway.model.partner import Partner
from gateway.ports import Loss, NewDelivery, NewMessage, Receipt, State, Unsealed
from gateway.store import open_store, upgrade

GATEWAY = "00000099000000001000"
ZSM = Partner(
    name="zsm",
    oin="00000099000000002000",
    systeem="gps",
    role="om",
    houses=frozenset("*"),
    dialects={"*": "stuf-jz/1.0.9"},
    sends=frozenset({"bekendheidsverzoek"}),
    receives=frozenset({"bekendheidsuitslag"}),
)
ZSM_TWO = replace(ZSM, name="zsm-twee", systeem="tweede")  # a second system of the same organisation
NATIONAL = replace(
    ZSM,
    name="landelijk",
    oin="00000099000000003000",
    role="landelijk",
    sends=frozenset({"bekendheidsuitslag"}),
    receives=frozenset({"bekendheidsverzoek"}),
)
STRANGER = "00000099000000009000"
VCOB = Path(__file__).parent / "examples/stuf-jz/valid/vcobDi01.xml"


class OpenSeal:
    """
    The Sealer and Vault ports in plain sight: here the HTTP edge is tested, and the seal elsewhere.
    A token is base64 of JSON; what is not, is refused as the real one does.
    """

    def open(self, token: bytes, *, now: datetime) -> Unsealed:
        try:
            said = json.loads(base64.urlsafe_b64decode(token))
            document = base64.b64decode(said["document"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BadSeal() from error
        digest = hashlib.sha256(document).hexdigest()
        return Unsealed(ZSM, said["envelop"], token, document, digest)

    def seal(
        self, document: bytes, *, envelope: dict[str, Any], receiver: Partner, now: datetime
    ) -> bytes:
        said = {**envelope, "aud": receiver.oin, "iat": int(now.timestamp())}
        return token({"envelop": said, "document": base64.b64encode(document).decode()})

    def sign_receipt(self, receipt: Receipt) -> bytes:
        return token({name: getattr(receipt, name) for name in Receipt.__slots__})

    def verify_receipt(self, token: bytes, *, partner: Partner, now: datetime) -> Receipt:
        try:
            return Receipt(**json.loads(base64.urlsafe_b64decode(token)))
        except (ValueError, TypeError) as error:
            raise ReceiptInvalid() from error

    def sign(self, payload: bytes) -> bytes:
        return payload

    verify_own = wrap_for_bus = unwrap_from_bus = sign

    def new_key(self, destroy_by: date) -> tuple[bytes, bytes]:
        return b"key", b"wrapped"

    def unwrap(self, wrapped: bytes, destroy_by: date) -> bytes:
        return b"key"


class OpenVault(OpenSeal):
    """See `OpenSeal`."""

    def seal(self, key: bytes, plaintext: bytes, *, context: str) -> bytes:  # type: ignore[override]
        return plaintext

    def open(self, key: bytes, sealed: bytes, *, context: str) -> bytes:  # type: ignore[override]
        return sealed
