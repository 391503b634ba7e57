"""Closed lists of values, read from the code tables: what stands in no table cannot be said."""

import tomllib
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from gateway.model.waarden import onjuist
from gateway.resources import folder


class Lijst:
    """
    Metadata of a text: it is one of the words (`canoniek`) of `mappings/codes/<naam>.toml`.

    Of a table whose words have parts (`velden`), the list holds those of one part (`veld`). Another
    value raises `waarde-ongeldig`, naming the list and not the value.
    """

    def __init__(self, naam: str, veld: str = "") -> None:
        text = (folder("mappings") / "codes" / f"{naam}.toml").read_text("utf-8")
        table = tomllib.loads(text)
        words = [row["canoniek"].split("/") for row in table["code"]]
        place = table["velden"].index(veld) if veld else 0
        self.naam = naam
        self.woorden = tuple(dict.fromkeys(parts[place] for parts in words if parts[place:]))

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._bekend, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self.woorden)}

    def _bekend(self, value: str) -> str:
        if value not in self.woorden:
            raise onjuist(f"De waarde staat niet in de lijst {self.naam}.")
        return value
