"""What a mapping says, as lines that a person can read; the engine itself never looks at these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Table
from dataclasses import dataclass
from importlib.resources.abc import Traversable

from gateway.formats import codes
from gateway.formats.dialect import Mapped, XmlDialect
from gateway.formats.mapping import Mapping, read_toml
from gateway.formats.placement import Const, Drop, Items, Leaf, Scope
from gateway.formats.tree import TEKST, Converter, Tree
from gateway.model import SOORTEN
from gateway.model.velden import velden
from gateway.ports import Dialect
from gateway.resources import folder

OVERAL, BESIDE = "overal", "envelop"


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line: a place of the partner's and a field of ours. One of the two is empty for what has no
    place on the other side; then `reason` says why. `fixed` is a text that always stands there.

    `where` is `envelop` for a field that travels beside the document and `overal` for a name that
    means nothing wherever it stands.
    """

    partner: str
    canonical: str
    conversion: str = ""
    condition: str = ""
    wgs: str = ""
    fixed: str = ""
    reason: str = ""
    where: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a dialect: its name, the kind it says, and its lines in order of the file."""

    dialect: str
    root: str
    kind: str
    lines: tuple[Line, ...]

    @property
    def tables(self) -> list[str]:
        """The code tables it uses, by name."""
        used = {line.conversion for line in self.lines if line.conversion.startswith("code ")}
        return sorted(name.removeprefix("code ") for name in used)

    @property
    def conversions(self) -> list[str]:
        """The other conversions it uses, by name."""
        return sorted(
            {x.conversion for x in self.lines if x.conversion.partition(" ")[0] != "code"} - {""}
        )

    @property
    def strange(self) -> list[str]:
        """Fields in rows or `[niet]` that the kind does not have: what is read there is refused."""
        named = (x for x in self.lines if x.canonical and not x.partner.endswith("/"))
        return [x.canonical for x in named if not x.wgs]


def documents(dialect: Dialect) -> list[Document]:
    """
    Every document of a dialect. Of one without mappings the document is the canonical message.

    Raises MappingInvalid.
    """
    if isinstance(dialect, Mapped):
        names = {converter: name for name, converter in dialect.known.items()}
        mappings = dialect.mappings.items()
        return [
            Document(dialect.name, root.rpartition(":")[2], m.soort, tuple(_lines(m, names)))
            for root, m in mappings
        ]
    return [
        Document(dialect.name, kind, kind, tuple(Line(f, f, wgs=c) for f, c in velden(of).items()))
        for kind, of in SOORTEN.items()
    ]


def tables(dialects: Iterable[Dialect]) -> dict[str, Tree]:
    """Every code table, as it is written: of the gateway and of what is plugged in."""
    return dict(
        sorted({k: v for base in _bases(dialects) for k, v in codes.written(base).items()}.items())
    )


def conversions(dialects: Iterable[Dialect]) -> dict[str, str]:
    """What each conversion does, in a sentence (`mappings/omzettingen.toml`)."""
    files = [base / "omzettingen.toml" for base in _bases(dialects)]
    return {k: str(v) for file in files if file.is_file() for k, v in read_toml(file).items()}


def _bases(dialects: Iterable[Dialect]) -> list[Traversable]:
    added = [d.data / "mappings" for d in dialects if isinstance(d, XmlDialect) and d.data]
    return [folder("mappings"), *added]


def _lines(mapping: Mapping, names: Table[Converter, str]) -> Iterator[Line]:
    fields = velden(SOORTEN[mapping.soort])
    yield from _rows(mapping.scope, names, fields)
    for field, reason in mapping.niet.items():
        below = {c for f, c in fields.items() if f"{f}.".startswith(f"{field}.")}
        yield Line("", field, wgs=_together(below), reason=reason)
    for field, value in mapping.alleen.items():
        yield Line("", field, wgs=fields.get(field, ""), reason=f"Altijd {value} in dit bericht.")
    for field, reason in mapping.elders.items():
        yield Line("", field, wgs=fields.get(field, ""), reason=reason, where=BESIDE)
    for name, reason in mapping.overal.items():
        said = reason if isinstance(reason, dict) else {"niet": reason, "wgs": "geen"}
        yield Line(name, "", wgs=said["wgs"], reason=said["niet"], where=OVERAL)


def _rows(
    scope: Scope,
    names: Table[Converter, str],
    fields: Table[str, str],
    partner: str = "",
    canonical: str = "",
) -> Iterator[Line]:
    """The lines of the rows of one pair of objects and of all below it."""
    for row in scope.placements:
        theirs = f"{partner}{'/'.join(row.partner)}".rstrip("/")
        if isinstance(row, Const):
            yield Line(theirs, "", fixed=row.value)
            continue
        if isinstance(row, Drop):
            yield Line(theirs, "", wgs=row.category, reason=row.reason)
            continue
        ours = f"{canonical}{'.'.join(row.canonical)}"
        if isinstance(row, Leaf):
            yield _leaf(row, theirs, ours, names, fields)
        elif isinstance(row, Items) and row.inline:
            item = f"{ours}[{_where(row)}]."
            yield _leaf(
                row.inline, theirs, f"{item}{'.'.join(row.inline.canonical)}", names, fields
            )
        else:
            many = isinstance(row, Items)
            condition = _where(row) if isinstance(row, Items) else ""
            yield Line(
                f"{theirs}{'*' if isinstance(row, Items) and row.many else ''}/",
                f"{ours}{'[]' if many else ''}",
                condition=condition,
            )
            yield from _rows(row.scope, names, fields, f"{theirs}/", f"{ours}.")


def _leaf(
    row: Leaf, theirs: str, ours: str, names: Table[Converter, str], fields: Table[str, str]
) -> Line:
    plain = "".join(part.partition("]")[2] or part for part in ours.split("["))
    wgs = {c for f, c in fields.items() if f"{f}.".startswith(f"{plain}.")}
    conversion = "" if row.converter == TEKST else names[row.converter]
    guard = f"{row.guard[0]} {'.'.join(row.guard[1])}" if row.guard else ""
    return Line(theirs, ours, conversion, guard, _together(wgs), required=row.required)


def _where(row: Items) -> str:
    """Which item of the list is meant."""
    if row.prefer:
        key, order = row.prefer
        return f"de eerste met {key} = {', dan '.join(order)}"
    said = [f"{key} = {' of '.join(map(str, values))}" for key, values in row.where.items()]
    return " en ".join([*said, *([f"met {row.having}"] if row.having else [])])


def _together(categories: set[str]) -> str:
    """Categories as one cell; `geen` only when there is no other."""
    return ", ".join(sorted(categories - {"geen"} or categories))
