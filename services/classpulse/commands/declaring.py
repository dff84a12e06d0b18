"""What a site file declares, brought onto the bus; the data folder remembers it, to know next time what the file no longer does."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

from classpulse.files import put
from classpulse.roster import Declared, Roster
from classpulse.site import Site

DECLARED_FILE = "declared.json"

_log = logging.getLogger("classpulse.site")


def declare(site: Site, roster: Roster) -> Iterator[str]:
    """Make the bus say what the file says; gives one line a change."""
    path = site.settings.data / DECLARED_FILE
    yield from roster.apply(site.rooms, site.cameras, stated=site.stated, before=_declared(path))
    declared = {"rooms": [r.room for r in site.rooms], "cameras": [c.camera for c in site.cameras]}
    try:
        put(path, json.dumps(declared, indent=1) + "\n")
    except OSError as error:
        _log.warning("%s: %s; what this file declares is not remembered", path, error.strerror)


def _declared(path: Path) -> Declared:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Declared(rooms=tuple(told["rooms"]), cameras=tuple(told["cameras"]))
    except FileNotFoundError:
        return Declared()
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s: %s; nothing is removed that the site file no longer declares", path, error)
        return Declared()
