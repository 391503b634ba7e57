"""
Areas: which house, Veilig Thuis and BIJ mandate belong to a gemeente, which OIN to an instantie.

All of it on a day, from the dated lists in `mappings/routing` (its README has the rules). What no row
says is refused, never guessed. Whether a house is configured here, or an organisation is a partner,
is not checked.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import Any

from gateway.errors import MappingInvalid, NoReceiver, UnknownCode

_TEXT, _GEMEENTE, _OIN = r"\S(.*\S)?", r"[0-9]{4}", r"[0-9A-Z]{20}"
_FILES: Mapping[str, Mapping[str, str]] = {
    "gemeenten": {"gemeente": _GEMEENTE, "naam": _TEXT, "opvolger": _GEMEENTE},
    "huizen": {"gemeente": _GEMEENTE, "huis": _TEXT},
    "veilig-thuis": {"gemeente": _GEMEENTE, "naam": _TEXT, "oin": _OIN},
    "mandaten": {"gemeente": _GEMEENTE, "huis": _TEXT},
    "instanties": {"instantie": r"[A-Z]{2}[0-9]{4}", "naam": _TEXT, "oin": _OIN},
}
"""The columns of each file and what they look like; the first is the key."""

_OPTIONAL = {"opvolger", "geldig-tot"}
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rij:
    """What one row says, on its first and last day and all between; `place` is for errors."""

    waarden: Mapping[str, str]
    van: date
    tot: date
    place: str

    def op(self, day: date) -> bool:
        """Whether it holds on this day."""
        return self.van <= day <= self.tot


Lijst = Mapping[str, tuple[Rij, ...]]


@dataclass(frozen=True, slots=True)
class Gebieden:
    """The lists by name of the file: the rows of each key, in order of time, never two on one day."""

    lijsten: Mapping[str, Lijst]

    @classmethod
    def read(cls, folder: Traversable) -> Gebieden:
        """
        The lists in a folder.

        Raises:
            MappingInvalid: a file is missing or no TOML, a key or value is not as it should be, two
                rows of one key share a day, or a row names a gemeente on a day it does not exist.
        """
        found = cls({name: _lijst(folder, name) for name in _FILES})
        for name, lijst in found.lijsten.items():
            if "gemeente" in _FILES[name]:
                for rij in (rij for rijen in lijst.values() for rij in rijen):
                    found._check(rij)
        return found

    def bestaat(self, gemeente: str, day: date) -> bool:
        """Whether there is a gemeente of this code (four digits, as CBS and the BRP) on this day."""
        return self._op("gemeenten", gemeente, day) is not None

    def opvolger_van(self, gemeente: str, day: date) -> str:
        """
        The code of the gemeente that this one is part of on a day: itself while it exists.

        Raises:
            UnknownCode: it did not exist yet, or ended without one successor (it was divided).
        """
        while rijen := [r for r in self.lijsten["gemeenten"].get(gemeente, ()) if r.van <= day]:
            if rijen[-1].op(day):
                return gemeente
            # It exists on the day after this one ended, so it ends later: the search ends too.
            gemeente = rijen[-1].waarden.get("opvolger", "")
        raise UnknownCode("De gemeentecode heeft op deze dag geen gemeente of opvolger.")

    def huis_van(self, gemeente: str, day: date) -> str:
        """
        The code of the Zorg- en Veiligheidshuis that works for a gemeente.

        Raises:
            UnknownCode: no such gemeente on this day; `opvolger_van` may know another.
            NoReceiver: no house is known for it.
        """
        return self._van("huizen", "huis", gemeente, day, "geen Zorg- en Veiligheidshuis bekend")

    def veilig_thuis_van(self, gemeente: str, day: date) -> str:
        """
        The OIN of the Veilig Thuis that works for a gemeente (Wmo 2015 art. 4.1.1).

        Raises:
            UnknownCode, NoReceiver: as for `huis_van`.
        """
        return self._van("veilig-thuis", "oin", gemeente, day, "geen Veilig Thuis bekend")

    def mandaat_van(self, gemeente: str, day: date) -> str:
        """
        The code of the house whose procesregisseur receives bij-meldingen for the burgemeester.

        Bjsg art. 11a; says nothing about Pbw art. 18a and 18b.

        Raises:
            UnknownCode: no such gemeente on this day.
            NoReceiver: no mandate is known: the receiver is the burgemeester, not the house.
        """
        return self._van("mandaten", "huis", gemeente, day, "geen mandaat voor BIJ bekend")

    def oin_van(self, instantie: str, day: date) -> str:
        """
        The OIN of a StUF sender or receiver: an OIN, an OIN with `_OTA`, or an instantiecode.

        An OIN is given back without the `_OTA` of test systems; that it exists is not checked.

        Raises:
            UnknownCode: neither an OIN nor an instantiecode that is valid on this day.
        """
        oin = instantie.removesuffix("_OTA")
        if re.fullmatch(_OIN, oin):
            return oin
        if rij := self._op("instanties", instantie, day):
            return rij.waarden["oin"]
        raise UnknownCode("De organisatie is geen OIN en geen instantiecode die op deze dag geldt.")

    def _check(self, rij: Rij) -> None:
        gemeente, opvolger = rij.waarden["gemeente"], rij.waarden.get("opvolger")
        if not _covered(rij, self.lijsten["gemeenten"].get(gemeente, ())):
            raise MappingInvalid(f"{rij.place}: no gemeente {gemeente} on all its days")
        if opvolger and (rij.tot == date.max or not self.bestaat(opvolger, rij.tot + _DAY)):
            raise MappingInvalid(f"{rij.place}: no gemeente {opvolger} to follow on the day after")

    def _op(self, name: str, key: str, day: date) -> Rij | None:
        return next((rij for rij in self.lijsten[name].get(key, ()) if rij.op(day)), None)

    def _van(self, name: str, column: str, gemeente: str, day: date, missing: str) -> str:
        if rij := self._op(name, gemeente, day):
            return rij.waarden[column]
        if not self.bestaat(gemeente, day):
            raise UnknownCode("De gemeentecode bestaat niet op deze dag.")
        raise NoReceiver(f"Voor deze gemeente is op deze dag {missing}.")


def _lijst(folder: Traversable, name: str) -> Lijst:
    file = f"routing/{name}.toml"
    try:
        tree = tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MappingInvalid(f"{file}: {error}") from error
    bron, rows = tree.get("bron"), tree.get("rij")
    sourced = isinstance(bron, str) and bron.strip()
    if tree.keys() != {"bron", "rij"} or not sourced or not isinstance(rows, list):
        raise MappingInvalid(f"{file}: a bron and a list called rij, and nothing else")
    found: dict[str, list[Rij]] = {}
    for number, row in enumerate(rows, 1):
        rij = _rij(row, _FILES[name], f"{file} rij {number}")
        found.setdefault(next(iter(rij.waarden.values())), []).append(rij)
    for rijen in found.values():
        rijen.sort(key=lambda rij: rij.van)
        for one, other in pairwise(rijen):
            if one.op(other.van):
                raise MappingInvalid(f"{other.place}: shares a day with {one.place}")
    return {key: tuple(rijen) for key, rijen in found.items()}


def _rij(row: Any, columns: Mapping[str, str], place: str) -> Rij:
    if not isinstance(row, dict):
        raise MappingInvalid(f"{place}: not a table")
    allowed = {*columns, "geldig-van", "geldig-tot"}
    if odd := (row.keys() - allowed) | (allowed - _OPTIONAL - row.keys()):
        raise MappingInvalid(f"{place}: {min(odd)} is missing or unknown")
    values = {column: row[column] for column in columns if column in row}
    for column, value in values.items():
        if not isinstance(value, str) or not re.fullmatch(columns[column], value):
            raise MappingInvalid(f"{place}: {column} is not as it should be written")
    van, tot = row["geldig-van"], row.get("geldig-tot", date.max)
    if not type(van) is type(tot) is date or tot < van:  # in Python a moment is a date too
        raise MappingInvalid(f"{place}: geldig-van and geldig-tot are days, in this order")
    return Rij(values, van, tot, place)


def _covered(rij: Rij, by: Iterable[Rij]) -> bool:
    """Whether rows in order of time together cover every day of a row (a name may have changed)."""
    day = rij.van
    for other in by:
        if other.op(day):
            if rij.tot <= other.tot:
                return True
            day = other.tot + _DAY
    return False
