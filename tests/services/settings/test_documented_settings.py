"""docs/settings.md has a row for each setting and each key of the site file, and for nothing else."""

import re
from dataclasses import MISSING, fields

from classpulse.errors import BadInput
from classpulse.ingest.sources.base import SOURCES, source_of
from classpulse.records import CameraConfig
from classpulse.settings import PREFIX, Settings
from classpulse.site_fields import CAMERA_FIELDS, ROOM_FIELDS
from gesturedet.card import PACKAGED
from tests.support import ROOT


def rows(heading: str) -> dict[str, list[str]]:
    """The table below a heading: first cell → cells."""
    page = (ROOT / "docs" / "settings.md").read_text()
    section = re.split(r"^#+ ", page.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row for row in cells}


def test_every_setting_has_its_row_and_every_row_its_setting() -> None:
    assert list(rows("Settings")) == [f.name for f in fields(Settings)]


def test_a_settings_row_names_its_variable_and_its_default() -> None:
    for f in fields(Settings):
        _, variable, default, _ = rows("Settings")[f.name]
        assert variable == f"`CLASSPULSE_{f.name.upper()}`"
        if f.default not in ("", None, MISSING):
            assert default == f"`{Settings().to_env()[PREFIX + f.name.upper()]}`"


def test_every_key_of_the_site_file_has_its_row_and_every_row_its_key() -> None:
    assert list(rows("`[[rooms]]`")) == list(ROOM_FIELDS)
    assert list(rows("`[[cameras]]`")) == list(CAMERA_FIELDS)


def options_of(scheme: str) -> list[str]:
    """What a source says that it knows, asked for what none knows; a network camera's query is its own."""
    try:
        source_of(CameraConfig(camera="t/s/r/c", source=f"{scheme}:///dev/video0?zzzz=1"))
    except BadInput as error:
        return error.faults[0].partition("expected one of ")[2].split(", ")
    return []


def test_every_source_has_its_row_with_the_options_that_it_knows() -> None:
    told = {name.partition("://")[0]: re.findall(r"`(\w+)`", cells[1]) for name, cells in rows("Sources").items()}
    assert {scheme: sorted(options) for scheme, options in told.items()} == {s: options_of(s) for s in SOURCES}


def test_the_bundled_model_is_named() -> None:
    assert rows("Settings")["model"][2] == f"the bundled release, `{PACKAGED.name}`"
