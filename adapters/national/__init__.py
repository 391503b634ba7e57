"""The national system: landelijk/1.0, the canonical CloudEvent itself."""

import functools

import orjson

from gateway.errors import UnknownDocument
from gateway.formats import jsondoc
from gateway.model import SOORTEN, json_schema, lees, schrijf
from gateway.model.envelop import Bericht, kind_of
from gateway.ports import Parsed, Rendered

DIALECT = "landelijk/1.0"


class NationalAdapter:
    """A ports.Adapter without mapping: the document is the canonical message."""

    name = "national"
    dialects = frozenset({DIALECT})

    def load(self) -> None:
        for kind in SOORTEN:
            _schema(kind)

    def recognises(self, document: bytes) -> tuple[str, str] | None:
        """Raises what `jsondoc.read` raises for JSON that is unsafe or not well-formed."""
        if document.lstrip()[:1] not in (b"{", b"["):
            return None
        kind = _kind(jsondoc.read(document))
        return (DIALECT, kind) if kind in SOORTEN else None

    def validate(self, document: bytes, *, dialect: str) -> None:
        self._checked(document)

    def parse(self, document: bytes, *, dialect: str) -> Parsed:
        kind, event = self._checked(document)
        return Parsed(DIALECT, kind, lees(event), ())

    def render(self, bericht: Bericht, *, dialect: str) -> Rendered:
        document = orjson.dumps(schrijf(bericht))
        return Rendered(DIALECT, bericht.soort, "application/json", document, ())

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


ADAPTER = NationalAdapter()
