"""fhir/4.0: FHIR R4 for who provides care, of five kinds of message."""

from urllib.parse import quote, unquote

from gateway.errors import InvalidValue
from gateway.formats.eigen import CONVERTERS
from gateway.formats.fhir.dialect import FhirDialect
from gateway.formats.tree import Converter, Tree

_OIN = "urn:nld:oin:"


def parse_oin(text: str, _: Tree) -> str:
    """The organisation of an endpoint. Raises InvalidValue for one that is no OIN."""
    if not text.startswith(_OIN):
        raise InvalidValue(f"Een endpoint heeft de vorm {_OIN}<OIN>.")
    return unquote(text.removeprefix(_OIN))


def render_oin(value: str) -> str:
    return _OIN + quote(value, safe="")


FHIR_4 = FhirDialect(
    name="fhir/4.0",
    kinds=("melding", "meldinguitkomst", "casus", "bij-melding", "dr-plan"),
    converters={**CONVERTERS, "oin": Converter(parse_oin, render_oin)},
)
