"""Reads the YAML that published API descriptions are written in; texts of several lines are cut."""

from __future__ import annotations

import json
import re
from typing import Any

_KEY = re.compile(r"""("[^"]*"|'[^']*'|[^\s"'#:][^:]*):(?:\s+(.*))?$""")
Lines = list[tuple[int, str]]


def read(text: str) -> Any:
    """Block mappings, lists and scalars; no anchors, no flow style."""
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines()]
    return _block([line for line in lines if line[1] and not line[1].startswith("#")])


def _block(lines: Lines) -> Any:
    if not lines:
        return None
    depth, first = lines[0]
    if first.startswith("- ") or first == "-":
        return [_item(part) for part in _split(lines, depth, listed=True)]
    if not _KEY.match(first):
        return _scalar(first)
    out = {}
    for part in _split(lines, depth, listed=False):
        found = _KEY.match(part[0][1])
        if found:
            key, value = str(_scalar(found[1])), (found[2] or "").strip()
            out[key] = _scalar(value) if value else _block(part[1:])
    return out


def _split(lines: Lines, depth: int, *, listed: bool) -> list[Lines]:
    """One part an entry; a list may stand as deep as the key it belongs to."""
    parts: list[Lines] = []
    for indent, text in lines:
        starts = indent == depth and (text.startswith("-") == listed)
        if starts:
            parts.append([])
        parts[-1].append((indent, text))
    return parts


def _item(part: Lines) -> Any:
    (indent, text), *rest = part
    return _block([(indent + 2, text[1:].strip()), *rest])


def _scalar(text: str) -> Any:
    if text[:1] == '"' and text[-1:] == '"' and len(text) > 1:
        return json.loads(text)
    if text[:1] == "'" and text[-1:] == "'":
        return text[1:-1]
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return {"true": True, "false": False}.get(text, text)
