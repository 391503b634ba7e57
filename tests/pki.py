"""The dev PKI for tests: made once a session, with broken certificates, and sealers on top of it."""

from __future__ import annotations

import functools
import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gateway.model.partner import Partner
from gateway.resources import folder
from gateway.security.identity import CertificateChecker
from gateway.security.seal import JoseSealer, KeyMaterial, KeyPair, PartnerCertificates

GATEWAY = "00000099000000000100"
ZSM = "00000099000000001000"
LANDELIJK = "00000099000000003000"
PARTIES = (
    ("gateway", GATEWAY, "ZVH Gateway", "ec"),
    ("zsm", ZSM, "OM ZSM", "rsa"),
    ("landelijk", LANDELIJK, "Landelijk casussysteem", "ec"),
)
BUS_KEY = bytes(range(32))
TEST_RSA_BITS = 2048  # enough for a test, and made in a tenth of the time


@functools.cache
def dev_pki_module() -> ModuleType:
    """`certs/make_dev_pki.py`, loaded as the product does."""
    path = Path(str(folder("certs") / "make_dev_pki.py"))
    spec = importlib.util.spec_from_file_location("make_dev_pki", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def make_pki(target: Path, *, broken: bool = True) -> Any:
    """A fresh PKI that a test may revoke in; returns the `Pki`."""
    module = dev_pki_module()
    parties = [module.Party(*party) for party in PARTIES]
    return module.make_pki(target, parties, broken=broken, bits=TEST_RSA_BITS)


@functools.cache
def _shared(base: Path) -> Path:
    return Path(make_pki(base / "pki").folder)


def make_test_pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the PKI of this session; read only, for others use it too."""
    return _shared(tmp_path_factory.getbasetemp())


def partner(name: str) -> Partner:
    """One of the three parties, as the others know it."""
    oin = {party[0]: party[1] for party in PARTIES}[name]
    return Partner(
        name=name,
        oin=oin,
        systeem=name,
        role=name,
        houses=frozenset({"*"}),
        dialects={},
        sends=frozenset(),
        receives=frozenset(),
    )


def sealer_of(
    name: str,
    pki: Path,
    *,
    signs_with: str | None = None,
    known: dict[str, str] | None = None,
    checker: CertificateChecker | None = None,
) -> JoseSealer:
    """
    The sealer of a party that knows the other two.

    `signs_with` and the values of `known` name other signing certificates, e.g. `broken-revoked`.
    """
    own, known = signs_with or name, known or {}
    others = [party[0] for party in PARTIES if party[0] != name]
    return JoseSealer(
        KeyMaterial(
            oin=partner(name).oin,
            signing=KeyPair(pki / f"{own}-sign.crt", pki / f"{own}-sign.key"),
            encryption=(KeyPair(pki / f"{name}-enc.crt", pki / f"{name}-enc.key"),),
            bus_key=BUS_KEY if name == "gateway" else None,
        ),
        directory={
            other: PartnerCertificates(
                signing=(pki / f"{known.get(other, other)}-sign.crt",),
                encryption=pki / f"{other}-enc.crt",
            )
            for other in others
        },
        partners={other: partner(other) for other in others},
        checker=checker or CertificateChecker(ca=pki / "ca.crt", crl=pki / "crl.pem"),
    )


def envelope(**changed: Any) -> dict[str, Any]:
    """What a sender says about a document, before it is sealed."""
    return {
        "specversion": "1.0",
        "id": "ZSM-2026-000001",
        "source": f"urn:nld:oin:{ZSM}:systeem:zsm",
        "type": "nl.zvh.bekendheidsverzoek.v1",
        "time": "2026-11-24T09:00:00Z",
        "datacontenttype": "application/xml",
        **changed,
    }


def now() -> datetime:
    return datetime.now(UTC)
