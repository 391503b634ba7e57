"""The national system: landelijk/1.0, the canonical CloudEvent itself, soh/0.1 and fhir/4.0."""

import functools

import orjson

from adapters.national.fhir import FHIR_4
from adapters.national.soh import SOH
from gateway.errors import UnknownDocument
from gateway.formats import jsondoc
from gateway.model import SOORTEN, json_schema, lees, schrijf
from gateway.model.envelop import Bericht, kind_of
from gateway.ports import Adapter, Parsed, Rendered


class Landelijk:
    """A ports.Dialect without mapping: the document is the canonical message."""

    name = "landelijk/1.0"

    def load(self) -> None:
        for kind in SOORTEN:
            _schema(kind)

    def recognises(self, document: bytes) -> str | None:
        """Raises what `jsondoc.read` raises for JSON that is unsafe or not well-formed."""
        if document.lstrip()[:1] not in (b"{", b"["):
            return None
        kind = _kind(jsondoc.read(document))
        return kind if kind in SOORTEN else None

    def validate(self, document: bytes) -> None:
        self._checked(document)

    def parse(self, document: bytes) -> Parsed:
        kind, event = self._checked(document)
        return Parsed(self.name, kind, lees(event), ())

    def render(self, bericht: Bericht, root: str = "") -> Rendered:
        document = orjson.dumps(schrijf(bericht))
        return Rendered(self.name, bericht.soort, "application/json", document, ())

    def _checked(self, document: bytes) -> tuple[str, dict[str, object]]:
        event = jsondoc.read(document)
        kind = _kind(event)
        if kind not in SOORTEN:
            raise UnknownDocument("Het veld `type` noemt geen soort bericht van de gateway.")
        _schema(kind).validate(event)
        return kind, event


def _kind(event: object) -> str:
    return kind_of(str(event.get("type"))) if isinstance(event, dict) else ""


@functools.cache
def _schema(kind: str) -> jsondoc.JsonSchema:
    return jsondoc.JsonSchema(json_schema(kind))


ADAPTER = Adapter("national", (Landelijk(), SOH, FHIR_4))
