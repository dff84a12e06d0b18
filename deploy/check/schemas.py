"""JSON schemas for the quick check, made of what the API server reads too: its own description and the resource definitions."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

NAME = "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json"
"""How kubeconform finds a kind's schema; the group of what has none is its version."""

REFERENCE = "#/definitions/"
LOOSE = {"int-or-string": ["integer", "string"], "quantity": ["number", "string"]}


def write_schemas(folder: Path, swagger: Path, definitions: Iterable[Path]) -> None:
    """One file a kind and version, in which an unknown field is an error."""
    known = json.loads(swagger.read_text())["definitions"]
    known["io.k8s.apimachinery.pkg.api.resource.Quantity"]["format"] = "quantity"
    for schema in list(known.values()):
        for kind in schema.get("x-kubernetes-group-version-kind", ()):
            group = kind["group"] or kind["version"]
            _write(folder, group, kind["version"], kind["kind"], _standalone(schema, known))
    for path in definitions:
        spec = yaml.load(path.read_text(), yaml.CSafeLoader)["spec"]
        for version in spec["versions"]:
            schema = _strict(version["schema"]["openAPIV3Schema"])
            _write(folder, spec["group"], version["name"], spec["names"]["kind"], schema)


def _write(folder: Path, group: str, version: str, kind: str, schema: Any) -> None:
    schema["required"] = sorted({*schema.get("required", ()), "apiVersion", "kind"})
    (folder / f"{group}_{version}_{kind.lower()}.json").write_text(json.dumps(schema))


def _standalone(schema: Any, known: dict[str, Any]) -> Any:
    """A schema with every definition that it reaches."""
    reached: dict[str, Any] = {}
    waiting = [schema]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in reached:
                reached[name] = _strict(known[name])
                waiting.append(known[name])
    return {**_strict(schema), "definitions": reached}


def _references(schema: Any) -> Iterable[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from _references(one)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix(REFERENCE)
            else:
                yield from _references(value)


def _strict(schema: Any) -> Any:
    """The same schema as JSON Schema reads it: unknown fields refused, what may be null or a number named so."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {
        key: {name: _strict(one) for name, one in value.items()} if key == "properties" else _strict(value)
        for key, value in schema.items()
        if key != "description"
    }
    if isinstance(strict.get("format"), str) and strict["format"] in LOOSE:
        strict["type"] = LOOSE[strict.pop("format")]
    if "properties" in strict and not schema.get("x-kubernetes-preserve-unknown-fields"):
        strict.setdefault("additionalProperties", False)
    if strict.pop("nullable", False) and isinstance(strict.get("type"), str):
        strict["type"] = [strict["type"], "null"]
    return strict
