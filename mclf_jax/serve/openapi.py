"""The interface of the server in the words of OpenAPI 3.1."""

from importlib.metadata import version
from typing import Any

_NUMBER = {"type": "number"}
_NUMBERS = {"type": "array", "items": _NUMBER}
_TEXT = {"type": "string"}
_BY_LABEL = {"type": "object", "additionalProperties": _NUMBER}
_REFUSALS = {
    "400": "the body is empty",
    "401": "the token is missing or wrong",
    "403": "the request comes from the page of somebody else",
    "404": "there is no such model",
    "408": "the file did not arrive in time",
    "413": "the file is too large",
    "415": "the body is a form, not the file itself",
    "422": "the file cannot be decoded, is too long, or has nothing in it",
    "429": "too many requests of one client",
    "503": "too many songs are waiting",
}


def describe(*, asks_for_token: bool) -> dict[str, Any]:
    """The document of `/openapi.json`."""
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "mclf serve", "version": version("mclf-jax")},
        "paths": {
            "/api/models": {"get": _get("The networks that there are.", _MODELS)},
            "/api/tag": {"post": _post("Scores of a song, and along it.", _TAGGED)},
            "/api/embed": {"post": _post("The embedding of a song.", _EMBEDDED)},
            "/health": {"get": _get("That the server is up.", _object(status=_TEXT))},
            "/metrics": {
                "get": {
                    "summary": "Counts in the text format of Prometheus.",
                    "responses": {"200": _response("counts", "text/plain", _TEXT)},
                }
            },
            "/openapi.json": {"get": _get("This document.", {"type": "object"})},
        },
    }
    if asks_for_token:
        found["components"] = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
        found["security"] = [{"token": []}]
    return found


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


_MODELS = _object(
    models={
        "type": "array",
        "items": _object(
            name=_TEXT,
            labels={"type": "array", "items": _TEXT},
            task={"enum": ["single_label", "multi_label", "regression"]},
            thresholds=_BY_LABEL,
            sample_rate_hz={"type": "integer"},
            window_s=_NUMBER,
            hop_s=_NUMBER,
        ),
    },
    index={"type": "boolean"},
    limits=_object(max_mb=_NUMBER, max_s=_NUMBER),
)
_SIMILAR = {"type": "array", "items": _object(title=_TEXT, score=_NUMBER)}
_TAGGED = _object(
    model=_TEXT,
    duration_s=_NUMBER,
    scores=_BY_LABEL,
    thresholds=_BY_LABEL,
    taggram=_object(
        times_s=_NUMBERS, window_s=_NUMBER, scores={"type": "array", "items": _NUMBERS}
    ),
    notes={"type": "array", "items": _TEXT},
)
_TAGGED["properties"]["similar"] = _SIMILAR
_EMBEDDED = _object(model=_TEXT, embedding=_NUMBERS)


def _response(description: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _get(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _response("it", "application/json", schema)}}


def _post(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    error = _object(error=_TEXT)
    refusals = {
        status: _response(why, "application/json", error) for status, why in _REFUSALS.items()
    }
    return {
        "summary": summary,
        "parameters": [{"name": "model", "in": "query", "required": False, "schema": _TEXT}],
        "requestBody": {
            "required": True,
            "content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}},
        },
        "responses": {"200": _response("it", "application/json", schema), **refusals},
    }
