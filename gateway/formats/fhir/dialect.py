"""A dialect of FHIR R4, made of files: message Bundles, read and written by mappings and schemas."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass, replace
from functools import cached_property

import orjson

from gateway import errors
from gateway.formats import codes, jsondoc, jsontree
from gateway.formats.dialect import compiled, demand_total, parsed
from gateway.formats.fhir import bundle as bundles
from gateway.formats.fhir.forms import Json
from gateway.formats.fhir.read import Reader
from gateway.formats.fhir.write import Writer
from gateway.formats.mapping import Mapping
from gateway.formats.structure import Element
from gateway.formats.tree import Converter, Tree
from gateway.model import schrijf
from gateway.model.envelop import Bericht
from gateway.ports import Parsed, Rendered
from gateway.resources import folder


@dataclass(frozen=True)
class FhirDialect:
    """
    A ports.Dialect; its roots are the canonical `kinds` it says. What it knows stands in
    `schemas/<name>/` (a `<kind>.json` each, and `delen.json` with what they share) and in
    `mappings/<name without version>/`.

    A Bundle is checked by the R4B models of fhir.resources before it is read and after it is written.
    They do not check codes (our schema checks those we read) nor whether a reference is to the right
    type (our reader does), and are never used to write: they would change decimals and fractions.
    """

    name: str
    kinds: tuple[str, ...]
    converters: Table[str, Converter]

    def load(self) -> None:
        """Raises SchemaMissing, and MappingInvalid, also for a leaf no mapping speaks of."""
        bundles.model()
        demand_total(self.mappings.values())

    def recognises(self, document: bytes) -> str | None:
        """Raises what `jsondoc.read` raises for JSON that is unsafe or not well-formed."""
        if document.lstrip()[:1] not in (b"{", b"["):
            return None
        return bundles.kind_of(jsondoc.read(document), self.kinds)

    def validate(self, document: bytes) -> None:
        self._read(document)

    def parse(self, document: bytes) -> Parsed:
        kind, tree, reader = self._read(document)
        found = parsed(self.name, kind, self.mappings[kind], tree)
        return replace(found, loss=(*reader.loss, *found.loss))

    def render(self, bericht: Bericht, root: str = "") -> Rendered:
        kind = bericht.soort
        if kind not in self.kinds or root not in ("", kind):
            raise errors.NotExpressible(f"{self.name} kent geen {root or kind}.")
        tree, loss = self.mappings[kind].render(schrijf(bericht))
        nested = jsontree.to_json(tree, self._structures[kind])
        bundle = Writer(bericht.id).write(self.schemas[kind], nested)
        try:
            self._validators[kind].validate(nested)
            bundles.check(bundle)
        except errors.InvalidDocument as error:
            raise errors.NotExpressible(error.detail, path=error.path) from error
        document = orjson.dumps(bundle)
        return Rendered(self.name, kind, "application/fhir+json", document, tuple(loss))

    @cached_property
    def schemas(self) -> dict[str, Json]:
        """Of the nested tree, by kind, with what they share filled in."""
        base = folder("schemas").joinpath(*self.name.split("/"))
        try:
            files = {
                name: orjson.loads((base / f"{name}.json").read_bytes())
                for name in ("delen", *self.kinds)
            }
        except (OSError, orjson.JSONDecodeError) as error:
            raise errors.SchemaMissing(f"{self.name}: een schema is niet te lezen.") from error
        parts = files["delen"]["$defs"]
        return {kind: jsontree.resolved(files[kind], parts) for kind in self.kinds}

    @cached_property
    def mappings(self) -> dict[str, Mapping]:
        """By kind."""
        base = folder("mappings") / self.name.partition("/")[0]
        return compiled(base, self._structures, self.known)

    @cached_property
    def known(self) -> dict[str, Converter]:
        """Every conversion its rows can name."""
        return {**codes.tables(), **self.converters}

    @cached_property
    def _structures(self) -> dict[str, Element]:
        return {kind: jsontree.structure(schema) for kind, schema in self.schemas.items()}

    @cached_property
    def _validators(self) -> dict[str, jsondoc.JsonSchema]:
        return {kind: jsondoc.JsonSchema(schema) for kind, schema in self.schemas.items()}

    def _read(self, document: bytes) -> tuple[str, Tree, Reader]:
        bundle = jsondoc.read(document)
        kind = bundles.kind_of(bundle, self.kinds)
        if kind is None:
            raise errors.UnknownDocument("Geen Bundle met voorop een MessageHeader die we kennen.")
        bundles.check(bundle)
        reader = Reader(bundle)
        nested = reader.read(self.schemas[kind])
        self._validators[kind].validate(nested)
        return kind, jsontree.to_tree(nested, self._structures[kind]), reader
