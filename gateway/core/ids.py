"""Names the gateway gives: ids, lanes, digests, instants."""

import base64
import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from uuid import UUID


def new_id(now: datetime) -> str:
    """A UUIDv7 (RFC 9562 §5.7): milliseconds first, so that ids sort by time."""
    value = int(now.timestamp() * 1000) << 80
    value |= 0x7 << 76 | secrets.randbits(12) << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    return str(UUID(int=value))


def lane(key: bytes, *parts: str) -> str:
    """The lane named by receiver, source and case: an HMAC, for a case id can lead to a person."""
    text = b"\x00".join(part.encode() for part in parts)
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def digest_of(data: bytes) -> str:
    """SHA-256, base64url without padding, as everywhere in profile zvh-jose-1."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def instant(now: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
