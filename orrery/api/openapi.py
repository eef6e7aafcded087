"""The JSON API's description (OpenAPI 3.1), made from its table: what is not in the table is
not in it.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import msgspec

from orrery.api.route import ErrorOut, Query, Route

REF = "#/components/schemas/{name}"

TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def describe(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The whole document as plain data."""
    types = [route.answer for route in routes] + [r.body for r in routes if r.body is not None]
    schemas, components = msgspec.json.schema_components([*types, ErrorOut], ref_template=REF)
    schema_of = dict(zip([*map(repr, types), repr(ErrorOut)], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = describe_route(route, schema_of)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Orrery", "version": version, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/api/v1"}],
        "security": [{"password": []}, {"token": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "password": {"type": "http", "scheme": "basic"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def describe_route(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.help,
        "tags": [route.tag],
        "parameters": [describe_query(query) for query in route.query],
        "responses": {
            str(route.status): {
                "description": "Done",
                "content": {"application/json": {"schema": schema_of[repr(route.answer)]}},
            },
            "default": {
                "description": "Refused: nothing was changed",
                "content": {"application/json": {"schema": schema_of[repr(ErrorOut)]}},
            },
        },
    }
    if "{id}" in route.path:
        operation["parameters"].insert(0, PATH_ID)
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "description": inspect.getdoc(route.body) or "",
            "content": {"application/json": {"schema": schema_of[repr(route.body)]}},
        }
    return operation


PATH_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "integer", "minimum": 0},
}


def describe_query(query: Query) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": TYPES[query.type]}
    if query.default is not None:
        schema["default"] = query.default
    return {"name": query.name, "in": "query", "description": query.help, "schema": schema}
