"""Hypothesis strategies for what the JSON schemas of OCPP allow. They use few keywords, all known here."""

import json
from functools import cache
from typing import Any

from hypothesis import strategies as st

from csms import schemas

_DRAFT_6 = "draft 6"


@cache
def request_schema(dialect: str, action: str) -> dict[str, Any]:
    """The schema of a request."""
    path = schemas._folder(dialect) / schemas._request_file(dialect, action)
    return json.loads(path.read_text(encoding="utf-8-sig"))


def requests(dialect: str, action: str) -> st.SearchStrategy[dict[str, Any]]:
    """Payloads of that action, half of them with what is optional."""
    schema = request_schema(dialect, action)
    definitions = {**schema.get("definitions", {}), _DRAFT_6: "draft-06" in schema.get("$schema", "")}
    return _values(schema, definitions)


def _values(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return _values(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _BY_TYPE.get(schema.get("type", ""), _anything)(schema, definitions)


_Schema = dict[str, Any]


def _anything(_schema: _Schema, _definitions: _Schema) -> st.SearchStrategy[Any]:
    return st.none() | st.text(max_size=5) | st.integers()


def _booleans(_schema: _Schema, _definitions: _Schema) -> st.SearchStrategy[bool]:
    return st.booleans()


def _integers(schema: _Schema, definitions: _Schema) -> st.SearchStrategy[float]:
    whole = st.integers(int(schema.get("minimum", -(2**31))), int(schema.get("maximum", 2**31)))
    # JSON has one kind of number: from draft 6 on, 1.0 is an integer too.
    return whole | whole.map(float) if definitions[_DRAFT_6] else whole


def _numbers(schema: _Schema, _: _Schema) -> st.SearchStrategy[float]:
    return st.floats(schema.get("minimum", -1e9), schema.get("maximum", 1e9), allow_nan=False)


def _lists(schema: _Schema, definitions: _Schema) -> st.SearchStrategy[list[Any]]:
    least = schema.get("minItems", 0)
    most = min(schema.get("maxItems", least + 2), least + 2)
    return st.lists(_values(schema["items"], definitions), min_size=least, max_size=most)


def _texts(schema: _Schema, _: _Schema) -> st.SearchStrategy[str]:
    text = st.text(max_size=min(schema.get("maxLength", 20), 20))
    times = st.sampled_from(["2026-11-20T12:00:00Z", "1970-01-01T00:00:00.000Z", "2026-11-20T12:00:00+02"])
    return times | text if schema.get("format") == "date-time" else text


def _objects(schema: _Schema, definitions: _Schema) -> st.SearchStrategy[dict[str, Any]]:
    fields = {
        name: _values(value, definitions)
        for name, value in schema.get("properties", {}).items()
        if name != "customData"
    }
    required = {name: fields[name] for name in schema.get("required", ()) if name in fields}
    optional = {name: value for name, value in fields.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


_BY_TYPE = {
    "object": _objects,
    "array": _lists,
    "string": _texts,
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
}
