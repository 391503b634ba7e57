"""An XML dialect made of files: schemas, mappings and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Table
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Protocol, runtime_checkable

from lxml import etree

from gateway import errors
from gateway.formats import codes, xmldoc
from gateway.formats.mapping import Mapping, Shared, read_toml
from gateway.formats.structure import Element, structure
from gateway.formats.tree import Converter, Tree
from gateway.model import SOORTEN, lees, schrijf
from gateway.model.envelop import Bericht, source_of, type_of
from gateway.model.media import is_xml
from gateway.model.velden import velden
from gateway.ports import Parsed, Rendered
from gateway.resources import folder


@dataclass(frozen=True)
class Document:
    """One document type: its root and where its schema is, ours and the owner's."""

    root: str  # prefixed name
    schema: str  # below schemas/<dialect>/
    normative: str = ""  # below the folder of normative schemas; empty when the dialect is ours

    @property
    def name(self) -> str:
        """The root without its prefix."""
        return self.root.partition(":")[2]


@runtime_checkable
class Mapped(Protocol):
    """A dialect that is made of rows, so that what it says can be shown."""

    @property
    def mappings(self) -> dict[str, Mapping]:
        """By root, with or without prefix."""

    @property
    def known(self) -> dict[str, Converter]:
        """Every conversion that the rows can name."""


def compiled(
    base: Traversable, shapes: Table[str, Element], converters: Table[str, Converter]
) -> dict[str, Mapping]:
    """The mapping of each root (prefixed or not) in the folder `base`; `shapes` is by root."""
    fragments = read_toml(base / "fragmenten.toml")
    shared = Shared(converters, fragments, **read_toml(base / "dialect.toml"))
    found = {}
    for root, shape in shapes.items():
        name = f"{root.rpartition(':')[2]}.toml"
        file = read_toml(base / name)
        found[root] = Mapping(name, file, shape, velden(SOORTEN[file["soort"]]), shared)
    return found


def demand_total(mappings: Iterable[Mapping]) -> None:
    """Raises MappingInvalid for a leaf no mapping speaks of."""
    for mapping in mappings:
        if left := mapping.unmapped():
            raise errors.MappingInvalid(f"{mapping.name}: geen rij voor {', '.join(left)}.")


def parsed(dialect: str, root: str, mapping: Mapping, tree: Tree) -> Parsed:
    """The canonical message of a document's tree. Raises what `lees` raises, with their names."""
    event, loss = mapping.parse(tree)
    sender = event["data"]["afzender"]
    event["specversion"] = "1.0"
    event["type"] = type_of(mapping.soort)
    event["source"] = source_of(sender.get("organisatie", ""), sender["applicatie"])
    try:
        bericht = lees(event)
    except errors.InvalidDocument as error:
        error.path = mapping.place(error.path or "")  # the sender knows its own names
        raise
    return Parsed(dialect, root, bericht, tuple(loss))


@dataclass(frozen=True)
class XmlDialect:
    """
    A ports.Dialect of XML. All it knows stands in files: `schemas/<name>/`, and in
    `mappings/<name without version>/` a `<root>.toml` each, `dialect.toml` and `fragmenten.toml`.

    Those two folders are the gateway's, unless `data` names the folder with those of a plug-in, in
    the plug-in's own wheel. Its `mappings/codes/` adds to the code tables of the gateway; to give
    one of these another content is refused, because the canonical model is made of them.

    A document may stand in a SOAP 1.1 envelope; ours do not.

    `normative` is the folder with the owner's own schemas, when documents are to be checked by those.
    """

    name: str
    prefixes: Table[str, str]
    documents: tuple[Document, ...]
    converters: Table[str, Converter]
    normative: Path | None = None
    data: Traversable | None = None

    def with_schemas(self, normative: Path) -> XmlDialect:
        """The same dialect, checking documents by the owner's schemas where there are any."""
        return replace(self, normative=normative)

    def load(self) -> None:
        """Raises SchemaMissing, and MappingInvalid, also for a leaf no mapping speaks of."""
        for schema in self._schemas.values():
            schema.load()
        demand_total(self.mappings.values())

    def recognises(self, document: bytes) -> str | None:
        """Raises what `xmldoc.read` raises for XML that is unsafe or not well-formed."""
        if not is_xml(document):
            return None
        found = self._by_tag.get(xmldoc.unwrapped(xmldoc.read(document)).tag)
        return found.name if found else None

    def validate(self, document: bytes) -> None:
        self._valid(document)

    def parse(self, document: bytes) -> Parsed:
        root, found = self._valid(document)
        tree = xmldoc.to_tree(root, self.structures[found.root])
        return parsed(self.name, found.name, self.mappings[found.root], tree)

    def render(self, bericht: Bericht, root: str = "") -> Rendered:
        event = schrijf(bericht)
        say_it = (d for d in self.documents if self.mappings[d.root].soort == bericht.soort)
        named = (d for d in say_it if root in ("", d.name))
        found = next((d for d in named if self.mappings[d.root].fits(event)), None)
        if found is None:
            raise errors.NotExpressible(f"{self.name} kent geen {root or bericht.soort}.")
        tree, loss = self.mappings[found.root].render(event)
        written = xmldoc.to_xml(tree, self.structures[found.root])
        try:
            self._schemas[found.root].validate(xmldoc.read(written))
        except errors.InvalidDocument as error:
            raise errors.NotExpressible(error.detail, path=error.path) from error
        return Rendered(self.name, found.name, "application/xml", written, tuple(loss))

    @cached_property
    def structures(self) -> dict[str, Element]:
        """By root."""
        base = self._folder
        return {d.root: structure(base / d.schema, d.root, self.prefixes) for d in self.documents}

    @cached_property
    def mappings(self) -> dict[str, Mapping]:
        """By root."""
        base = self._data("mappings") / self.name.partition("/")[0]
        return compiled(base, self.structures, self.known)

    @cached_property
    def known(self) -> dict[str, Converter]:
        """Every conversion its rows can name: code tables, the plug-in's, and its own pairs."""
        added = codes.written(self._data("mappings")) if self.data else {}
        if taken := sorted(added.keys() & codes.written(folder("mappings")).keys()):
            raise errors.MappingInvalid(f"codetabel {taken[0]}: de gateway heeft er al een.")
        return {**codes.tables(), **codes.compiled(added), **self.converters}

    def _valid(self, document: bytes) -> tuple[etree._Element, Document]:
        """The root element of a document that its schema accepts, and which document it is."""
        root = xmldoc.unwrapped(xmldoc.read(document))
        found = self._by_tag.get(root.tag)
        if found is None:
            raise errors.UnknownDocument(
                "Het hoofdelement hoort bij geen bericht van dit koppelvlak."
            )
        self._schemas[found.root].validate(root)
        return root, found

    @cached_property
    def _schemas(self) -> dict[str, xmldoc.XmlSchema]:
        """By root; documents that share an XSD share its compiled schema."""
        files = {
            d.root: self.normative / d.normative
            if self.normative and d.normative
            else self._folder / d.schema
            for d in self.documents
        }
        made = {file: xmldoc.XmlSchema(file, self.prefixes) for file in {*files.values()}}
        return {root: made[file] for root, file in files.items()}

    @property
    def _folder(self) -> Path:
        return Path(str(self._data("schemas"))) / self.name

    def _data(self, name: str) -> Traversable:
        return self.data / name if self.data else folder(name)

    @cached_property
    def _by_tag(self) -> dict[str, Document]:
        prefixed = {f"{prefix}:": f"{{{space}}}" for prefix, space in self.prefixes.items()}
        return {prefixed[d.root.removesuffix(d.name)] + d.name: d for d in self.documents}
