"""A dialect of CSV files in a zip: the same document as in XML, with the same schema and mapping."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from gateway.errors import GatewayError, InvalidDocument, NotExpressible
from gateway.formats import csvzip, xmldoc
from gateway.formats.csvtables import Layout, Tables
from gateway.formats.dialect import XmlDialect
from gateway.formats.mapping import Mapping
from gateway.formats.structure import Element
from gateway.formats.tree import Converter
from gateway.model.envelop import Bericht
from gateway.ports import Parsed, Rendered


@dataclass(frozen=True)
class CsvDialect:
    """
    A ports.Dialect of zips with one document each.

    It reads the files into the tree of `root` of another dialect and goes on as that does: one
    schema, one mapping, one meaning. Errors name file, row and column.
    """

    name: str
    xml: XmlDialect
    root: str  # prefixed name
    layout: Layout

    def load(self) -> None:
        self.xml.load()
        _ = self._tables

    def recognises(self, document: bytes) -> str | None:
        return self.root.partition(":")[2] if document.startswith(b"PK") else None

    def validate(self, document: bytes) -> None:
        xml = self._xml(document)
        try:
            self.xml.validate(xml)
        except GatewayError as error:
            raise self._placed(error) from None

    def parse(self, document: bytes) -> Parsed:
        xml = self._xml(document)
        try:
            parsed = self.xml.parse(xml)
        except GatewayError as error:
            raise self._placed(error) from None
        return Parsed(self.name, parsed.root, parsed.bericht, parsed.loss)

    def render(self, bericht: Bericht, root: str = "") -> Rendered:
        kind = self.xml.mappings[self.root].soort
        if bericht.soort != kind:
            raise NotExpressible(f"{self.name} kent alleen een {kind}.")
        made = self.xml.render(bericht, root)
        tree = xmldoc.to_tree(xmldoc.read(made.document), self._structure)
        document = csvzip.write(self._tables.split(tree))
        return Rendered(self.name, made.root, "application/zip", document, made.loss)

    @property
    def mappings(self) -> dict[str, Mapping]:
        """By root: the one."""
        return {self.root: self.xml.mappings[self.root]}

    @property
    def known(self) -> dict[str, Converter]:
        """Every conversion its rows can name."""
        return self.xml.known

    def _xml(self, document: bytes) -> bytes:
        """The same as a document of XML, not validated."""
        tree = self._tables.join(csvzip.read(document, self.layout.files))
        try:
            return xmldoc.to_xml(tree, self._structure)
        except NotExpressible as error:
            raise InvalidDocument(error.detail, path=self._tables.place(error.path or "")) from None

    def _placed(self, error: GatewayError) -> GatewayError:
        error.path = self._tables.place(error.path or "")
        return error

    @property
    def _structure(self) -> Element:
        return self.xml.structures[self.root]

    @cached_property
    def _tables(self) -> Tables:
        return Tables(self._structure, self.layout)
