"""A TOML file of ours as a pydantic model: closed, kebab-case, and faults told by their key."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Text = Annotated[str, Field(min_length=1)]

_STRANGE = "is no key here: remove or respell it"
_RULES = {"extra_forbidden": _STRANGE, "unexpected_keyword_argument": _STRANGE}
_RULES["missing"] = "is missing"


def kebab(name: str) -> str:
    """The key in the file of a field."""
    return name.replace("_", "-")


CLOSED = ConfigDict(extra="forbid", alias_generator=kebab)


class Part(BaseModel):
    """Base of the tables in a file: kebab-case, and nothing that is not known."""

    model_config = {**CLOSED, "frozen": True}


def explain(error: Exception) -> str:
    """Every fault: the key as it stands in the file, and what to change. Values are not shown."""
    if not isinstance(error, ValidationError):
        return str(error)  # unreadable, not TOML, or not UTF-8
    faults = []
    for fault in error.errors(include_url=False, include_input=False):
        key = kebab(".".join(map(str, fault["loc"])))
        rule = _RULES.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        faults.append(f'"{key}" {rule}' if key else rule)
    return "; ".join(faults)
