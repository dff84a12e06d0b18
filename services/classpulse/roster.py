"""operator → bus: which rooms and cameras there are, as it stands on rooms.v1 and cameras.v1; changed at run time.

Whoever watches or aggregates reads these topics again and again, so a change here needs no restart.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from classpulse.bus.base import Bus
from classpulse.bus.compacted import Compacted
from classpulse.clock import Clock
from classpulse.codec import Outgoing, encode, tombstone
from classpulse.errors import BadInput, Fenced
from classpulse.records import CameraConfig, RoomConfig, room_of
from classpulse.settings import nearest
from classpulse.timetable import in_force
from classpulse.topics import CAMERAS, ROOMS

ATTEMPTS = 3
"""How often a change is written anew when another operator's command came in between."""

BRIDGED = "bridge://"
"""The source of a camera whose pictures are looked at in its school: here only what was seen arrives, over a bridge."""

T = TypeVar("T")
C = TypeVar("C", CameraConfig, RoomConfig)

_log = logging.getLogger("classpulse.roster")


@dataclass(frozen=True)
class Declared:
    """The keys a site file declared when it was last applied: what it stops declaring is taken off the bus."""

    rooms: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()


class Roster:
    """The rooms and cameras on one bus."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus, self._clock = bus, clock
        self._cameras, self._rooms = Compacted(bus, CAMERAS), Compacted(bus, ROOMS)
        bus.create([CAMERAS, ROOMS])

    def cameras(self) -> dict[str, CameraConfig]:
        """Every camera by its key, enabled or not."""
        return {noun.camera: noun for noun in self._cameras.nouns() if isinstance(noun, CameraConfig)}

    def rooms(self, now_ms: int | None = None) -> dict[str, RoomConfig]:
        """Every room by its key, enabled or not, as it is configured at a time (None: now).

        One that has nothing until its configuration is valid gives that.
        """
        at_ms = self._clock.now_ms() if now_ms is None else now_ms
        return {key: in_force(room, at_ms) for key, room in self._written_rooms().items()}

    def announced(self) -> dict[str, RoomConfig]:
        """What is valid only later, by its room's key."""
        now_ms = self._clock.now_ms()
        return {key: room for key, room in self._written_rooms().items() if now_ms < room.valid_from_ms}

    def camera(self, key: str) -> CameraConfig:
        """One camera by its key, or by the end of it that no other has. Raises BadInput naming the nearest there is."""
        return _known("camera", key, self.cameras())

    def room(self, key: str) -> RoomConfig:
        """One room by its key, or by the end of it that no other has. Raises BadInput naming the nearest there is."""
        return _known("room", key, self.rooms())

    def add_camera(self, config: CameraConfig, *, replace: bool = False) -> None:
        """Declare a camera of a declared room; one that is replaced keeps its masks, and stays off if it was.

        Raises BadInput for an unknown room and, unless `replace`, for a known key.
        """
        known = self.cameras().get(config.camera)
        self.room(room_of(config.camera))
        if known is not None:
            if not replace:
                raise BadInput([f"camera = {config.camera!r}: exists; expected a new key, or --replace"])
            enabled = config.enabled and known.enabled
            config = msgspec.structs.replace(config, masks=known.masks, enabled=enabled)
        self.write([config])

    def add_room(self, config: RoomConfig, *, replace: bool = False) -> None:
        """Declare a room; one that is replaced keeps its rules and whether samples are allowed, and stays off if it was.

        What is announced for it stays, too: this holds until then.

        Raises BadInput, unless `replace`, for a known key.
        """
        known = self.rooms().get(config.room)
        if known is not None:
            if not replace:
                raise BadInput([f"room = {config.room!r}: exists; expected a new key, or --replace"])
            enabled = config.enabled and known.enabled
            config = msgspec.structs.replace(
                config, rules=known.rules, samples_allowed=known.samples_allowed, enabled=enabled
            )
        announced = self.announced().get(config.room)
        self.write([config if announced is None else msgspec.structs.replace(announced, until_then=config)])

    def remove_camera(self, key: str) -> str:
        """Forget a camera; what was seen by it stays. Gives its whole key. Raises BadInput for an unknown one."""
        camera = self.camera(key).camera
        self._append([tombstone(CAMERAS, camera, camera)])
        return camera

    def remove_room(self, key: str) -> str:
        """Forget a room; gives its whole key. Raises BadInput for an unknown one and for one that still has cameras."""
        room = self.room(key).room
        left = sorted(camera for camera in self.cameras() if room_of(camera) == room)
        if left:
            raise BadInput([f"room = {key!r}: has cameras {', '.join(left)}; expected them to be removed first"])
        self._append([tombstone(ROOMS, room, room)])
        return room

    def enable_camera(self, key: str, enabled: bool) -> str:
        """Switch a camera on or off; gives its whole key."""
        config = self.camera(key)
        self.write([msgspec.structs.replace(config, enabled=enabled)])
        return config.camera

    def enable_room(self, key: str, enabled: bool) -> str:
        """Switch a room on or off: off, nobody is to be observed in it, also by what is announced. Gives its whole key.

        On, it goes by what is announced from then on.
        """
        config = _known("room", key, self._written_rooms())
        until_then = config.until_then
        if until_then is not None and config.room in self.announced():
            switched = msgspec.structs.replace(until_then, enabled=enabled)
            config = msgspec.structs.replace(config, enabled=config.enabled and enabled, until_then=switched)
        else:
            config = msgspec.structs.replace(config, enabled=enabled)
        self.write([config])
        return config.room

    def write(self, configs: Sequence[CameraConfig | RoomConfig]) -> None:
        """Put configurations on the bus, all or none. A room's that is valid only later takes with it what holds until then."""
        self._append(self._outgoing(configs))

    def apply(
        self,
        rooms: Sequence[RoomConfig],
        cameras: Sequence[CameraConfig],
        *,
        stated: Collection[str] = (),
        before: Declared | None = None,
    ) -> list[str]:
        """Make the bus say what a site file says, in one step; gives one line per change.

        What was switched at run time stays as it is unless the file states `enabled` (keys in `stated`). What the file
        declared `before` and no longer does is removed; what was added at run time stays.
        """
        before = before or Declared()
        known_cameras, now_ms = self.cameras(), self._clock.now_ms()
        in_force_now, ahead = self.rooms(now_ms), self.announced()
        bare = {key: msgspec.structs.replace(room, until_then=None) for key, room in ahead.items()}
        known_rooms = {**self._written_rooms(), **bare}
        wanted_rooms = [
            _kept_switch(r, r.room, known_rooms if r.valid_from_ms > now_ms else in_force_now, stated) for r in rooms
        ]
        wanted_cameras = [_kept_switch(c, c.camera, known_cameras, stated) for c in cameras]
        changed: list[CameraConfig | RoomConfig] = [r for r in wanted_rooms if known_rooms.get(r.room) != r]
        changed += [c for c in wanted_cameras if known_cameras.get(c.camera) != c]
        gone_cameras = sorted({*before.cameras} & {*known_cameras} - {c.camera for c in cameras})
        gone_rooms = sorted({*before.rooms} & {*known_rooms} - {r.room for r in rooms})
        self._append(
            self._outgoing(changed)
            + [tombstone(CAMERAS, key, key) for key in gone_cameras]
            + [tombstone(ROOMS, key, key) for key in gone_rooms]
        )
        written = [f"wrote {c.camera if isinstance(c, CameraConfig) else c.room}" for c in changed]
        return written + [f"removed {key}, no longer declared" for key in gone_cameras + gone_rooms]

    def _written_rooms(self) -> dict[str, RoomConfig]:
        return {noun.room: noun for noun in self._rooms.nouns() if isinstance(noun, RoomConfig)}

    def _outgoing(self, configs: Sequence[CameraConfig | RoomConfig]) -> list[Outgoing]:
        now_ms, rooms = self._clock.now_ms(), self.rooms()
        return [
            encode(c, topic=CAMERAS, at_ms=now_ms)
            if isinstance(c, CameraConfig)
            else encode(_with_before(c, rooms.get(c.room), now_ms), topic=ROOMS, at_ms=now_ms)
            for c in configs
        ]

    def _append(self, outputs: Sequence[Outgoing]) -> None:
        """Write as the latest operator; another operator's command may fence this one, then it tries again."""
        if not outputs:
            return
        for attempt in range(ATTEMPTS):
            member = self._bus.member("operator", [])
            try:
                member.commit(outputs, {})
            except Fenced:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return
            finally:
                member.close()


def is_bridged(camera: CameraConfig) -> bool:
    """Whether another place opens this camera and forwards what was seen."""
    return camera.source == BRIDGED


def _with_before(room: RoomConfig, before: RoomConfig | None, now_ms: int) -> RoomConfig:
    """A room as it is written: with what holds until its moment, and after it with nothing."""
    if room.valid_from_ms <= now_ms:
        return msgspec.structs.replace(room, until_then=None)
    if room.until_then is not None or before is None or before.valid_from_ms > now_ms:
        return room
    return msgspec.structs.replace(room, until_then=before)


def _known(kind: str, key: str, known: Mapping[str, T]) -> T:
    if key in known:
        return known[key]
    ending = sorted(one for one in known if one.endswith(f"/{key}"))
    if len(ending) > 1:
        raise BadInput([f"{kind} = {key!r}: several end so; expected one of {', '.join(ending)}"])
    if not ending:
        raise BadInput([f"{kind} = {key!r}: unknown; {nearest(key, known)}"])
    return known[ending[0]]


def _kept_switch(wanted: C, key: str, known: Mapping[str, C], stated: Collection[str]) -> C:
    if key in stated or key not in known:
        return wanted
    return msgspec.structs.replace(wanted, enabled=known[key].enabled)
