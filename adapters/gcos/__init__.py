"""GCOS, the legacy case system: gcos/1.0 as XML, and the same casus as a zip of CSV files."""

from functools import cached_property

from adapters.gcos import archief
from adapters.gcos.tabellen import FILES, Tables
from adapters.gcos.waarden import CONVERTERS
from gateway.errors import GatewayError, InvalidDocument, NotExpressible
from gateway.formats import xmldoc
from gateway.formats.dialect import Document, XmlDialect
from gateway.formats.structure import Element
from gateway.model.envelop import Bericht
from gateway.ports import Adapter, Parsed, Rendered

GCOS_1 = XmlDialect(
    name="gcos/1.0",
    prefixes={"GCOS": "urn:nl:zvh:gcos:1.0"},
    converters=CONVERTERS,
    documents=tuple(
        Document(f"GCOS:{root}", "gcos.xsd")
        for root in (
            *("casus", "aanmelding", "aanmeldinguitkomst", "overlegverslag"),
            *("bekendheidsvraag", "bekendheidsantwoord"),
            *("casusinformatievraag", "casusinformatieantwoord"),
        )
    ),
)


class GcosCsv:
    """
    A ports.Dialect of zips with one casus each (schemas/gcos-csv/README.md).

    It reads the files into the tree of `GCOS:casus` and goes on as gcos/1.0 does: one schema, one
    mapping, one meaning.
    """

    name = "gcos-csv/1"

    def load(self) -> None:
        GCOS_1.load()
        _ = self._tables

    def recognises(self, document: bytes) -> str | None:
        return "casus" if document.startswith(b"PK") else None

    def validate(self, document: bytes) -> None:
        xml = self._xml(document)
        try:
            GCOS_1.validate(xml)
        except GatewayError as error:
            raise self._placed(error) from None

    def parse(self, document: bytes) -> Parsed:
        xml = self._xml(document)
        try:
            parsed = GCOS_1.parse(xml)
        except GatewayError as error:
            raise self._placed(error) from None
        return Parsed(self.name, parsed.root, parsed.bericht, parsed.loss)

    def render(self, bericht: Bericht, root: str = "") -> Rendered:
        if bericht.soort != "casus":
            raise NotExpressible(f"{self.name} kent alleen een casus.")
        made = GCOS_1.render(bericht, root)
        tree = xmldoc.to_tree(xmldoc.read(made.document), self._casus)
        document = archief.write(self._tables.split(tree))
        return Rendered(self.name, made.root, "application/zip", document, made.loss)

    def _xml(self, document: bytes) -> bytes:
        """The casus as a document of gcos/1.0, not validated."""
        tree = self._tables.join(archief.read(document, FILES))
        try:
            return xmldoc.to_xml(tree, self._casus)
        except NotExpressible as error:
            raise InvalidDocument(error.detail, path=self._tables.place(error.path or "")) from None

    def _placed(self, error: GatewayError) -> GatewayError:
        error.path = self._tables.place(error.path or "")
        return error

    @property
    def _casus(self) -> Element:
        return GCOS_1.structures["GCOS:casus"]

    @cached_property
    def _tables(self) -> Tables:
        return Tables(self._casus)


GCOS_CSV_1 = GcosCsv()

ADAPTER = Adapter("gcos", (GCOS_1, GCOS_CSV_1))
