"""Numbers and codes of the chain whose form is known; that they were ever issued is not checked."""

from typing import Annotated

from pydantic import Field

Gemeentecode = Annotated[str, Field(pattern=r"^[0-9]{4}$")]
"""CBS gemeentecode, four digits (BRP table 33)."""

Postcode = Annotated[str, Field(pattern=r"^[1-9][0-9]{3}([A-Z]{2})?$")]
"""Four digits and, where known, two letters; without a space."""

Skn = Annotated[str, Field(pattern=r"^[0-9]{7,10}$")]
"""Strafrechtsketennummer (Sv art. 27b). Its length is not published."""

Parketnummer = Annotated[str, Field(pattern=r"^[0-9]{2}/[0-9]{6}-[0-9]{2}$")]
"""Parketnummer as `02/123456-24`; other spellings are normalised by the mapping."""

Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
"""Bytes of an attachment, base64 (RFC 4648 section 4)."""
