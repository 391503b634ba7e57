"""The loss account of one translation."""

from __future__ import annotations

import re
from collections.abc import Mapping as Table
from typing import Any

from gateway.ports import Loss

_INDEX = re.compile(r"\[[0-9]+\]")


class Account:
    """Collects what was lost in one translation; knows the reasons a mapping gives beforehand."""

    __slots__ = ("_categories", "_reasons", "entries")

    def __init__(self, reasons: Table[str, Any], categories: dict[str, str]) -> None:
        self.entries: list[Loss] = []
        self._reasons = reasons
        self._categories = categories

    def partner(self, path: str, reason: str = "", category: str = "geen") -> None:
        """Something of the partner's document without a place in ours."""
        known = self._reasons.get(path.rpartition("/")[2], "")
        if isinstance(known, dict):
            known, category = known["niet"], known["wgs"]
        self.entries.append(Loss(path, category, "weg", reason or known))

    def canonical(self, path: str, *, how: str = "weg", otherwise: str = "") -> None:
        """Something of ours without a place there; `otherwise` is for what has no reason by name."""
        plain = _INDEX.sub("", path)
        category = self._categories.get(plain, "geen")
        below = {c for p, c in self._categories.items() if p.startswith(plain + ".")} - {"geen"}
        if below:
            category = ",".join(sorted(below))
        reason = next(
            (r for p, r in self._reasons.items() if f"{plain}.".startswith(f"{p}.")), otherwise
        )
        self.entries.append(Loss(path, category, how, reason))
