"""An XML dialect made of files: schemas, mappings and nothing else."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping as Table
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lxml import etree

from gateway.errors import (
    InvalidDocument,
    MappingInvalid,
    NotExpressible,
    SchemaMissing,
    UnknownDocument,
)
from gateway.formats import codes, xmldoc
from gateway.formats.mapping import Mapping
from gateway.formats.structure import Element, leaves, structure
from gateway.formats.tree import Converter
from gateway.model import SOORTEN, lees, schrijf
from gateway.model.envelop import Bericht, source_of, type_of
from gateway.model.velden import velden
from gateway.ports import Parsed, Rendered
from gateway.resources import folder


@dataclass(frozen=True)
class Document:
    """One document type: its root and where its schema is, ours and the owner's."""

    root: str  # prefixed name
    schema: str  # below schemas/<dialect>/
    normative: str  # below the folder of normative schemas


@dataclass(frozen=True)
class XmlAdapter:
    """
    A ports.Adapter over one XML dialect. Everything it knows of the dialect stands in files:
    `schemas/<dialect>/`, `mappings/<folder>/<root>.toml` with `dialect.toml` and `fragmenten.toml`.

    `normative` is the folder with the owner's own schemas, when documents are to be checked by those.
    """

    name: str
    dialect: str
    prefixes: Table[str, str]
    documents: tuple[Document, ...]
    converters: Table[str, Converter]
    normative: Path | None = None
    dialects: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dialects", frozenset({self.dialect}))

    def with_schemas(self, normative: Path) -> XmlAdapter:
        """The same adapter, checking documents by the schemas in this folder."""
        return replace(self, normative=normative)

    def load(self) -> None:
        """Raises MappingInvalid, also for a mapping that does not speak of every leaf."""
        for document in self.documents:
            mapping = self.mapping(document.root)
            left = mapping.unmapped(
                leaves(self.structure(document.root)), iter(velden(SOORTEN[mapping.soort]))
            )
            if left:
                raise MappingInvalid(f"{mapping.name}: geen rij voor {', '.join(left)}.")
            self._schemas[document.root].load()

    def recognises(self, document: bytes) -> tuple[str, str] | None:
        """Raises what `xmldoc.read` raises for XML that is unsafe or not well-formed."""
        start = document.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        if start not in (b"<", b"\xff", b"\xfe"):
            return None
        found = self._by_tag.get(xmldoc.read(document).tag)
        return (self.dialect, found.root.partition(":")[2]) if found else None

    def validate(self, document: bytes, *, dialect: str) -> None:
        self._valid(document)

    def parse(self, document: bytes, *, dialect: str) -> Parsed:
        root, found = self._valid(document)
        mapping = self.mapping(found.root)
        event, loss = mapping.parse(xmldoc.to_tree(root, self.structure(found.root)))
        sender = event["data"]["afzender"]
        event["specversion"] = "1.0"
        event["type"] = type_of(mapping.soort)
        event["source"] = source_of(sender["organisatie"], sender["applicatie"])
        try:
            bericht = lees(event)
        except InvalidDocument as error:
            error.path = mapping.place(error.path or "")  # the sender knows its own names
            raise
        return Parsed(dialect, found.root.partition(":")[2], bericht, tuple(loss))

    def render(self, bericht: Bericht, *, dialect: str) -> Rendered:
        found = self._by_kind.get(bericht.soort)
        if found is None:
            raise NotExpressible(f"{self.dialect} kent geen {bericht.soort}.")
        tree, loss = self.mapping(found.root).render(schrijf(bericht))
        written = xmldoc.to_xml(tree, self.structure(found.root))
        try:
            self._schemas[found.root].validate(xmldoc.read(written))
        except InvalidDocument as error:
            raise NotExpressible(error.detail, path=error.path) from error
        root = found.root.partition(":")[2]
        return Rendered(dialect, root, "application/xml", written, tuple(loss))

    def mapping(self, root: str) -> Mapping:
        """The compiled mapping of a document type, for tests and for `gateway mapping`."""
        return self._mappings[root]

    def structure(self, root: str) -> Element:
        """The structure of a document type."""
        return self._structures[root]

    def _valid(self, document: bytes) -> tuple[etree._Element, Document]:
        """The root element of a document that its schema accepts, and which document it is."""
        root = xmldoc.read(document)
        found = self._by_tag.get(root.tag)
        if found is None:
            raise UnknownDocument("Het hoofdelement hoort bij geen bericht van dit koppelvlak.")
        self._schemas[found.root].validate(root)
        return root, found

    @functools.cached_property
    def _schemas(self) -> dict[str, xmldoc.XmlSchema]:
        """By root; documents that share an XSD share its compiled schema."""
        base = self.normative or self._folder
        files = {
            d.root: base / (d.normative if self.normative else d.schema) for d in self.documents
        }
        made = {file: xmldoc.XmlSchema(file, self.prefixes) for file in set(files.values())}
        return {root: made[file] for root, file in files.items()}

    @functools.cached_property
    def _folder(self) -> Path:
        path = Path(str(folder("schemas"))) / self.dialect
        if not path.is_dir():
            raise SchemaMissing(f"schemas/{self.dialect} ontbreekt.")
        return path

    @functools.cached_property
    def _by_tag(self) -> dict[str, Document]:
        found = {}
        for document in self.documents:
            prefix, _, name = document.root.partition(":")
            found[f"{{{self.prefixes[prefix]}}}{name}"] = document
        return found

    @functools.cached_property
    def _by_kind(self) -> dict[str, Document]:
        return {self.mapping(d.root).soort: d for d in self.documents}

    @functools.cached_property
    def _structures(self) -> dict[str, Element]:
        return {
            d.root: structure(self._folder / d.schema, d.root, dict(self.prefixes))
            for d in self.documents
        }

    @functools.cached_property
    def _mappings(self) -> dict[str, Mapping]:
        base = folder("mappings") / self.dialect.partition("/")[0]

        def table(name: str) -> dict[str, Any]:
            return tomllib.loads((base / name).read_text(encoding="utf-8"))

        common, fragments = table("dialect.toml"), table("fragmenten.toml")
        converters = {**codes.tables(), **self.converters}
        found = {}
        for document in self.documents:
            name = f"{document.root.partition(':')[2]}.toml"
            text = (base / name).read_text(encoding="utf-8")
            found[document.root] = Mapping(
                text,
                structure=self.structure(document.root),
                converters=converters,
                categories=velden(SOORTEN[tomllib.loads(text)["soort"]]),
                name=name,
                fragments=fragments,
                dialect=common,
            )
        return found
