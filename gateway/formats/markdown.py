"""What the mappings say, as Markdown in Dutch for functional managers: the pages of docs/mappings."""

from collections.abc import Iterable, Sequence

from gateway.formats import explained
from gateway.formats.explained import BESIDE, OVERAL, Document, Line
from gateway.formats.mapping import read_toml
from gateway.formats.tree import Tree
from gateway.ports import Dialect
from gateway.resources import folder

MADE = "Gemaakt met `make docs` uit `mappings/`; wijzig de mapping, niet deze pagina."

README = f"""# Hoe berichten vertaald worden

{MADE}

Elke pagina hieronder is een bericht van een koppelvlak: welk element van de partner welk veld van het
canonieke bericht is, en omgekeerd. Dezelfde tabel geldt voor lezen en voor schrijven.

- **Omzetting**: hoe de waarde verandert. Niets ingevuld: de tekst blijft zoals zij is. Een codetabel
  staat in [codes.md](codes.md). Een code die daar niet staat, wordt geweigerd en nooit geraden.
- **Voorwaarde**: wanneer de regel geldt. `met x` en `zonder x` gaan over een ander veld van het bericht;
  `soort = woon` zegt welk onderdeel van een lijst bedoeld is.
- **Wgs**: de categorie van Wgs artikel 2.30 lid 1 onder a. Wat de ontvanger volgens de doelbinding niet
  mag hebben, wordt vóór het schrijven weggehaald. `vrije-tekst` telt als alle categorieën.
- `*` achter een element, `[]` achter een veld: het kan vaker voorkomen. Een `/` achter een element: er
  staan andere elementen in.
- Wat aan de andere kant geen plaats heeft, staat er met de reden bij en komt in de verliesrekening van
  elk bericht dat het bevat: de plaats, nooit de waarde.

Wie wat met wie mag delen, staat in [doelbinding.md](doelbinding.md).

Een wijziging keurt de functioneel beheerder van het koppelvlak goed, met de bron erbij
([mappings/README.md](../../mappings/README.md)).

"""

DOELBINDING = """Zonder regel wordt niets gedeeld. De eerste regel die vandaag geldt voor soort, afzender en ontvanger
beslist; regels van een installatie (`doelbinding` in `gateway.toml`) gaan voor. Wat niet mee mag, wordt
weggehaald voordat het document geschreven wordt: een verplicht element is dan leeg met de reden
`nietGeautoriseerd`, en de plaats staat bij het bericht, nooit de waarde. De categorieën zijn die van Wgs
artikel 2.30 lid 1 onder a.
"""

MARKS = {
    "nationaliteit": "nationaliteit (BGS art. 1.9)",
    "skn": "strafrechtsketennummer (Sv art. 27b)",
    "strafbepaling": "strafbepalingen van een veroordeling (Bjsg art. 7 lid 1 onder c)",
    "melder": "welke natuurlijke persoon meldde (Wmo 2015 art. 4.1.8)",
}
"""What passes only where a rule says so."""


def pages(dialects: Sequence[Dialect]) -> dict[str, str]:
    """Every page by its path. Raises MappingInvalid."""
    found = [document for dialect in dialects for document in explained.documents(dialect)]
    told, tables = explained.conversions(dialects), explained.tables(dialects)
    made = {f"{d.dialect}/{d.root}.md": _page(d, told) for d in found}
    made["codes.md"] = _codes(tables, found)
    made["doelbinding.md"] = _doelbinding(read_toml(folder("mappings") / "doelbinding.toml"))
    rows = (
        (f"[{d.root}]({d.dialect}/{d.root}.md)", d.dialect, d.kind, len(_fields(d)), len(_lost(d)))
        for d in found
    )
    columns = ("bericht", "koppelvlak", "soort", "velden", "zonder plaats")
    made["README.md"] = README + _table(columns, rows)
    return made


def _fields(document: Document) -> list[Line]:
    return [x for x in document.lines if x.partner and x.canonical]


def _lost(document: Document) -> list[Line]:
    return [x for x in document.lines if x.reason and not x.where]


def _page(document: Document, told: dict[str, str]) -> str:
    up = "../" * (document.dialect.count("/") + 1)
    intro = f"Soort: **{document.kind}**. Koppelvlak: {document.dialect}."
    parts = [f"# {document.root}\n\n{intro} [Hoe u dit leest]({up}README.md).\n\n{MADE}\n"]
    fields = _fields(document)
    if all(x.partner == x.canonical for x in fields):
        parts.append("Dit koppelvlak is het canonieke bericht zelf: er wordt niets vertaald.\n")
        rows: Iterable[Sequence[object]] = ((_code(x.canonical), x.wgs) for x in fields)
        return "\n".join([*parts, _table(("veld", "Wgs"), rows)])

    def conversion(line: Line) -> str:
        word, _, table = line.conversion.partition(" ")
        return f"[{table}]({up}codes.md#{table})" if table else word

    rows = (
        (_code(x.partner), _code(x.canonical), conversion(x), x.condition, x.wgs) for x in fields
    )
    columns = ("element van de partner", "ons veld", "omzetting", "voorwaarde", "Wgs")
    parts.append(_section("Velden", columns, rows))
    fixed = ((_code(x.partner), _code(x.fixed)) for x in document.lines if x.fixed)
    parts.append(_section("Vaste waarden", ("element van de partner", "altijd"), fixed))
    for title, column, lines in (
        ("Elementen zonder plaats bij ons", "element", [x for x in _lost(document) if x.partner]),
        (
            "Velden zonder plaats in dit bericht",
            "veld",
            [x for x in _lost(document) if x.canonical],
        ),
        ("Overal zonder betekenis", "naam", [x for x in document.lines if x.where == OVERAL]),
        ("In de verzegelde envelop", "veld", [x for x in document.lines if x.where == BESIDE]),
    ):
        reasons = ((_code(x.partner or x.canonical), x.reason, x.wgs) for x in lines)
        parts.append(_section(title, (column, "reden", "Wgs"), reasons))
    used = ((name, told.get(name, "")) for name in document.conversions)
    parts.append(_section("Omzettingen", ("omzetting", "wat zij doet"), used))
    return "\n".join(filter(None, parts))


def _codes(tables: dict[str, Tree], documents: Sequence[Document]) -> str:
    told = "Een code van de partner, ons woord ervoor, en wat het betekent."
    parts = [f"# Codetabellen\n\n{MADE}\n\n{told} [Hoe u dit leest](README.md).\n"]
    for name, table in tables.items():
        used = [f"[{d.root}]({d.dialect}/{d.root}.md)" for d in documents if name in d.tables]
        users = (
            f"Gebruikt in {', '.join(used)}.\n" if used else "Een lijst van het canonieke model.\n"
        )
        rows = [(_code(r["partner"]), _code(r["canoniek"]), r["betekenis"]) for r in table["code"]]
        columns = ("code", "ons woord", "betekenis")
        parts.append(f"## {name}\n\nBron: {table['bron']}.\n\n{users}\n{_table(columns, rows)}")
    return "\n".join(parts)


def _doelbinding(policy: Tree) -> str:
    """The rules of the gateway; those of an installation stand in a file of its own."""
    parts = [f"# Doelbinding: wie wat met wie deelt\n\n{MADE}\n\n{DOELBINDING}"]
    for number, regel in enumerate(policy["regel"], 1):
        passes = ", ".join(regel.get("categorieen", ())) or "alle categorieën, ook vrije tekst"
        marks = [mark for mark, text in MARKS.items() if regel.get(mark) is True]
        rows = (
            ("soort", ", ".join(regel["soort"])),
            ("van", ", ".join(regel["van"])),
            ("naar", ", ".join(regel["naar"])),
            ("grondslag", "; ".join(regel["grondslag"])),
            (
                "convenant",
                f"{regel['convenant']}, {regel['geldig-van']} tot en met {regel['geldig-tot']}",
            ),
            ("gaat mee", passes),
            ("gaat ook mee", "; ".join(MARKS[mark] for mark in marks)),
            ("blijft altijd achter", "; ".join(v for k, v in MARKS.items() if k not in marks)),
            ("moet aankomen", ", ".join(map(_code, regel.get("moet-aankomen", ())))),
            (
                "niet eerder dan",
                f"{days} dagen ervoor" if (days := regel.get("vooraf-dagen")) else "",
            ),
            ("bewaartermijn", f"{regel['bewaartermijn-dagen']} dagen"),
        )
        told = _table(("", f"regel {number}"), (row for row in rows if row[1]))
        parts.append(f"## {number} {', '.join(regel['soort'])}\n\n{told}")
    return "\n".join(parts)


def _section(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A heading with its table; nothing when there are no rows."""
    found = list(rows)
    return f"## {title}\n\n{_table(columns, found)}" if found else ""


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    cells = ([str(cell).replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _code(text: object) -> str:
    return f"`{text}`" if text != "" else ""
