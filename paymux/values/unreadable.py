"""Why a body could not be read: what was expected where, without anything of its content."""

import re

import msgspec

# msgspec's text for a wrong type: "Expected `int`, got `array` - at `$.items[0].price`".
_TYPES = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_PLACE = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?", re.DOTALL)
_WORDS = {
    "str": "text",
    "int": "number",
    "float": "number",
    "array": "list",
    "bool": "true or false",
}
_SCALAR = {"str", "int", "float", "bool"}  # a value that may be any of these is written as text


def why(error: Exception) -> str:
    """Return what could not be read, and where: "status: expected text, got list"."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    found = _PLACE.fullmatch(str(error)[:400])
    what, place = found.groups() if found else (str(error)[:120], None)
    if types := _TYPES.fullmatch(what):
        wanted, got = set(types[1].split(" | ")) - {"null"}, types[2]
        if wanted > _SCALAR or wanted == _SCALAR:
            wanted = wanted - _SCALAR | {"str"}
        named = " or ".join(sorted({_WORDS.get(name, name) for name in wanted}))
        return f"{place or 'the body'}: expected {named}, got {_WORDS.get(got, got)}"
    if missing := re.fullmatch("Object missing required field `(.*)`", what):
        return f"{'.'.join(filter(None, (place, missing[1])))}: missing"
    if not isinstance(error, msgspec.ValidationError):
        cut = what == "Input data was truncated"
        return (
            "JSON that is cut off"
            if cut
            else f"not JSON: {what.removeprefix('JSON is malformed: ')[:120]}"
        )
    plain = what.partition(" '")[0].rstrip(": ")  # the value itself follows
    return f"{place or 'the body'}: {plain[:120]}"
