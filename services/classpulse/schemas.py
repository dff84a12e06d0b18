"""JSON Schemas of the nouns, generated into `schemas/` for those who read the topics with tools of their own.

`python -m classpulse.schemas` writes them, and refuses a change that a reader of the committed ones could not follow:
such a change needs a new version of the noun and its topic.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from classpulse.codec import NOUNS, VERSION
from classpulse.errors import BadInput

FOLDER = Path("schemas")


def schema_of(noun: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one noun, with every type it uses under `$defs`."""
    schema = msgspec.json.schema(noun)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"classpulse.{noun.__name__}.v{VERSION}",
        **schema,
    }


def generate() -> dict[str, bytes]:
    """File name → canonical text of every noun's schema."""
    return {
        f"{name}.v{VERSION}.json": msgspec.json.format(msgspec.json.encode(schema_of(noun), order="sorted"), indent=2)
        + b"\n"
        for name, noun in NOUNS.items()
    }


def incompatibilities(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What a reader or writer of `old` could not follow in `new`: fields gone, types changed, fields newly required."""
    faults: list[str] = []
    for name, before in old.get("$defs", {}).items():
        after = new.get("$defs", {}).get(name)
        if after is None:
            faults.append(f"type {name} is gone; expected it to stay")
        else:
            faults += _of_type(name, before, after)
    return faults


def write(folder: Path) -> None:
    """Write all schemas into `folder`. Raises BadInput listing every incompatible change; then nothing is written."""
    texts = generate()
    faults = [
        f"{name}: {fault}"
        for name, text in texts.items()
        if (folder / name).exists()
        for fault in incompatibilities(msgspec.json.decode((folder / name).read_bytes()), msgspec.json.decode(text))
    ]
    if faults:
        raise BadInput([*faults, "a change that old readers cannot follow needs a new version of the noun"])
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_bytes(text)


def _of_type(name: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    faults = []
    for field, was in before.get("properties", {}).items():
        found = after.get("properties", {}).get(field)
        if found is None:
            faults.append(f"field {name}.{field} is gone; expected it to stay")
        elif _shape(was) != _shape(found):
            faults.append(f"field {name}.{field} was {_shape(was)}; found {_shape(found)}")
    added = sorted(set(after.get("required", ())) - set(before.get("required", ())))
    return faults + [f"field {name}.{field} is newly required; expected a default" for field in added]


def _shape(property_: dict[str, Any]) -> dict[str, Any]:
    """A property without what a reader does not depend on."""
    return {key: value for key, value in property_.items() if key not in ("default", "title", "description")}


def main() -> int:
    """Write the schemas beside pyproject.toml; 2 when a change is refused."""
    try:
        write(FOLDER)
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
