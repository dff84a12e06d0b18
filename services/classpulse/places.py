"""Over a broker, one `up` a cluster: whoever ran beside it under the same places would fence it, and be fenced, for ever."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace

from classpulse.bus.base import Bus
from classpulse.clock import Clock
from classpulse.errors import BadInput, Recoverable
from classpulse.files import identity
from classpulse.settings import Settings, masked

SESSION_MS = 12_000
"""So long a process that is gone may still be in its group: the session's length, and some."""

LOOK_AGAIN_MS = 500
NAME_FILE = "up.id"

_log = logging.getLogger("classpulse.up")


def named(settings: Settings) -> Settings:
    """With a name of the data folder's own in the URL of a broker: its groups then tell this folder's processes from others."""
    if not settings.bus.startswith("kafka://") or "client_id=" in settings.bus:
        return settings
    joint = "&" if "?" in settings.bus else "?"
    return replace(settings, bus=f"{settings.bus}{joint}client_id=up-{identity(settings.data / NAME_FILE)}")


def claim(settings: Settings, bus: Bus, clock: Clock, stop: threading.Event) -> None:
    """Wait until the places are free that `up` is about to take, of detect and aggregate. Raises BadInput where they stay taken.

    What this data folder left there itself, it may take at once.
    """
    wanted = {"detect": range(settings.detect_workers), "aggregate": range(1)}
    give_up_ms = clock.monotonic_ms() + SESSION_MS
    while not stop.is_set() and (taken := _all_taken(settings, bus, wanted)):
        if clock.monotonic_ms() >= give_up_ms:
            others = f"{', '.join(taken)} at work there already; expected one `up` a cluster"
            remedy = "more machines run stages alone, each with an index of its own: `classpulse detect --index 1`"
            raise BadInput([f"bus = {masked(settings.bus)!r}: {others}; {remedy}"])
        _log.info("%s: waiting, as that may be a session that ends", ", ".join(taken))
        clock.sleep_ms(LOOK_AGAIN_MS)


def _all_taken(settings: Settings, bus: Bus, wanted: Mapping[str, range]) -> list[str]:
    """Whose of these groups' places are another's, or the one that says that nobody could tell."""
    ours = settings.bus.partition("client_id=")[2].partition("&")[0]
    try:
        held = {group: bus.holders(group) for group in wanted}
    except Recoverable as error:
        return [str(error)]
    return [
        f"{group} {index} of {held[group][index]}"
        for group, indexes in wanted.items()
        for index in indexes
        if held[group].get(index, ours) != ours
    ]
