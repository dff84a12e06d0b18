"""What is done to a line of releases while a fleet looks, and how long until every worker looks with what won."""

import os
import subprocess
import sys
import time
from contextlib import closing

from classpulse.bus.base import open_bus
from classpulse.clock import SystemClock
from classpulse.lines import Lines, promoted
from classpulse.registry import put
from gesturedet.card import find_release
from tests.chaos.fleet_faults import FleetFault, FleetScene, Noticed
from tests.chaos.fleets import view
from tests.services.tuned_release import make_tuned

AWAY_S = 12.0
"""So long a store is away: whoever asked in vain has asked again."""


def register_releases(scene: FleetScene) -> None:
    """The one that looks, promoted, and two that cost what it costs."""
    folder = scene.site.parent
    make_tuned("classroom-640", folder / "tuned")
    make_tuned(str(folder / "tuned"), folder / "twice-tuned")
    with closing(open_bus(scene.bus_url)) as bus:
        lines = Lines(bus, SystemClock())
        for name in ("classroom-640", str(folder / "tuned"), str(folder / "twice-tuned")):
            release = find_release(name)
            lines.register(put(release, str(folder / "data" / "models")))
            scene.releases.append(release.card.digest)
        lines.change("main", lambda line: promoted(line, scene.releases[0]))


def promote_twice(scene: FleetScene) -> Noticed:
    """Both releases that do not look now, at once, by two people who saw the same line: at most one of them gets his way."""
    champion, revision = line_of(scene)
    others = [digest for digest in scene.releases if digest != champion]
    command = [sys.executable, "-m", "classpulse.cli", "models", "promote", "--revision", str(revision)]
    environ = {**os.environ, "CLASSPULSE_BUS": scene.bus_url, "CLASSPULSE_DATA": str(scene.site.parent / "data")}
    both = [subprocess.Popen([*command, one], env=environ, stderr=subprocess.PIPE, text=True) for one in others]
    said = [one.communicate()[1] for one in both]
    won = [digest for digest, one in zip(others, both, strict=True) if one.returncode == 0]
    assert len(won) <= 1, "both were told that they had won"
    assert line_of(scene) == ((won[0], revision + 1) if won else (champion, revision))
    assert all("revision" in told or "somebody else changes it now" in told for told in said if told), said
    return lambda: looks_everywhere(scene, line_of(scene)[0])


def take_store_away(scene: FleetScene) -> Noticed:
    """A release is promoted that nobody can fetch for a while."""
    champion, revision = line_of(scene)
    wanted = scene.draw.choice([digest for digest in scene.releases if digest != champion])
    store = scene.site.parent / "data" / "models"
    store.rename(store.with_name("away"))
    try:
        with closing(open_bus(scene.bus_url)) as bus:
            Lines(bus, SystemClock()).change("main", lambda line: promoted(line, wanted), revision=revision)
        time.sleep(AWAY_S)
        assert not looks_everywhere(scene, wanted)
    finally:
        store.with_name("away").rename(store)
    return lambda: looks_everywhere(scene, wanted)


def line_of(scene: FleetScene) -> tuple[str, int]:
    """The champion, and which revision of the line says so."""
    with closing(open_bus(scene.bus_url)) as bus:
        line = Lines(bus, SystemClock()).lines()["main"]
    return line.champion or "", line.revision


def looks_everywhere(scene: FleetScene, digest: str) -> bool:
    """Whether every worker looks with this release."""
    now = view(scene.site)
    return now is not None and all(slot.health is not None and slot.health.model == digest for slot in now.slots)


RELEASE_FAULTS: tuple[FleetFault, ...] = (
    FleetFault("two promotions at once", promote_twice),
    FleetFault("store away during a promotion", take_store_away),
)
"""What changes the digests in a story."""
