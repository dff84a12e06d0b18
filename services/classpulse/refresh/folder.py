"""Where a refresh is written down: what was asked for, and what each step gave, so that one that was stopped goes on."""

import json
from pathlib import Path
from typing import Any

import msgspec

from classpulse.errors import BadInput
from classpulse.files import put

PLAN, REFUSED = "plan", "refused"
CHAMPION_FOLDER = "champion-was"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for. Paths are absolute; `drawn`: so many pictures that synthroom draws from its training seeds.

    `champion`: digest of the release that it begins with and is compared to. `margin`: how much of AP50 a behaviour may lose.
    """

    pictures: tuple[str, ...]
    base: tuple[str, ...]
    drawn: int
    val: str
    exams: tuple[str, ...]
    quiet: tuple[str, ...]
    recipe: str
    epochs: int | None
    workers: int
    device: str
    margin: float
    champion: str


class Folder:
    """One refresh. Steps' results are small JSON objects, written whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def plan(self) -> Plan | None:
        """What was asked for; None where nothing was. Raises BadInput for a file that is no plan."""
        path = self._of(PLAN)
        if not path.is_file():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=Plan)
        except msgspec.DecodeError as error:
            raise BadInput([f"--out = {str(self.path)!r}: {path.name}: {error}; expected another folder"]) from error

    def begin(self, plan: Plan) -> None:
        """Write down what is asked for."""
        self.path.mkdir(parents=True, exist_ok=True)
        put(self._of(PLAN), msgspec.json.format(msgspec.json.encode(plan)).decode() + "\n")

    def told(self, step: str) -> dict[str, Any] | None:
        """What a step gave; None for one that has not been done."""
        path = self._of(step)
        found: dict[str, Any] | None = json.loads(path.read_text("utf-8")) if path.is_file() else None
        return found

    def tell(self, step: str, result: dict[str, Any]) -> None:
        """Write down that a step is done, and what it gave."""
        put(self._of(step), json.dumps(result, indent=2) + "\n")

    def _of(self, step: str) -> Path:
        return self.path / f"{step}.json"
