"""Canonical messages of any kind, made from the model itself: invented people only."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.model import SOORTEN, lees, schrijf
from gateway.model.lijsten import Lijst
from gateway.model.waarden import Bsn, Deeldatum, GeenWaarde, Tijdstip, Vnummer

from .berichten import bsns, deeldatums, momenten, tekst

Values = st.SearchStrategy[Any]
Special = dict[str, Callable[[Values], Values]]
"""By JSON name of a field: another strategy made from the one the model gives."""

TEXT = tekst(10)  # every text of every dialect has room for ten characters


def _tijdstip(moment: datetime, precision: str) -> str:
    if precision == "days":
        return f"{moment:%Y-%m-%d}"
    if precision == "milliseconds":
        return moment.replace(microsecond=120_000).isoformat(timespec=precision)
    whole, offset = moment.isoformat(timespec="seconds")[:19], f"{moment:%z}"
    cut = {"hours": 13, "minutes": 16, "seconds": 19}[precision]
    return f"{whole[:cut]}{offset[:3]}:{offset[3:]}"


tijdstippen = st.builds(
    _tijdstip,
    st.datetimes(
        datetime(1990, 1, 1),
        datetime(2060, 1, 1),
        timezones=st.sampled_from([timezone(timedelta(hours=h)) for h in (-3, 0, 1, 2)]),
    ),
    st.sampled_from(["days", "hours", "minutes", "seconds", "milliseconds"]),
)
vnummers = st.sampled_from(["0000012345", "12345678901234567"])
_KNOWN = ((Bsn, bsns), (Deeldatum, deeldatums), (Tijdstip, tijdstippen), (Vnummer, vnummers))


def kinds(kind: str, special: Special | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Messages of a kind as JSON objects in their normal form."""
    data = _object(SOORTEN[kind], special or {})
    return st.fixed_dictionaries(
        {
            "id": tekst(40),
            "source": st.just("urn:nld:oin:00000099000000001000:systeem:Test"),
            "type": st.just(f"nl.zvh.{kind}.v1"),
            "time": momenten,
            "data": data,
        },
        optional={"huis": tekst(40), "antwoordop": tekst(40), "conversatieid": tekst(20)},
    ).map(_apart)


def _apart(event: dict[str, Any]) -> dict[str, Any]:
    """In normal form, with two applications: StUF wants them to differ."""
    sender, receiver = event["data"]["afzender"], event["data"]["ontvanger"]
    if sender["applicatie"] == receiver["applicatie"]:
        event["data"]["ontvanger"] = {**receiver, "applicatie": f"{receiver['applicatie']}2"}
    return schrijf(lees(event))


def _object(model: type[BaseModel], special: Special) -> st.SearchStrategy[dict[str, Any]]:
    hints = typing.get_type_hints(model, include_extras=True)
    fields = []
    for name, field in model.model_fields.items():
        if name != "geen_waarde":
            alias = field.alias or name
            values = _values(hints[name], special)
            if alias in special:
                values = special[alias](values)
            fields.append((alias, field.is_required(), values))
    reasons = st.sampled_from([reason.value for reason in GeenWaarde])

    @st.composite
    def build(draw: st.DrawFn) -> dict[str, Any]:
        value, absent = {}, {}
        for alias, required, values in fields:
            choice = "waarde" if required else draw(st.sampled_from(["weg", "waarde", "reden"]))
            if choice == "waarde":
                value[alias] = draw(values)
            elif choice == "reden":
                absent[alias] = draw(reasons)
        return {**value, "geenWaarde": absent} if absent else value

    return build()


def _values(hint: Any, special: Special) -> Values:
    for known, values in _KNOWN:
        if hint == known:
            return values
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = [arg for arg in args if arg is not type(None)]
        return _values(inner, special)
    if origin is tuple:
        return st.lists(_values(args[0], special), min_size=1, max_size=2)
    if origin is typing.Annotated:
        return _annotated(args[0], args[1:], special)
    if hint is bool:
        return st.booleans()
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from([member.value for member in hint])
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _object(hint, special)
    assert hint is str, hint
    return TEXT


def _annotated(inner: Any, metadata: tuple[Any, ...], special: Special) -> Values:
    for one in metadata:
        if isinstance(one, Lijst):
            return st.sampled_from(one.woorden)
        for rule in one.metadata if isinstance(one, FieldInfo) else ():
            if pattern := getattr(rule, "pattern", None):
                return st.from_regex(pattern.strip("^$"), fullmatch=True)
    return _values(inner, special)
