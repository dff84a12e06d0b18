"""operator → aggregate: what rooms.v1 and cameras.v1 say, as the RoomPlan that is logged to the aggregator's own input."""

from collections.abc import Callable, Mapping

import msgspec

from classpulse.bus.base import Bus
from classpulse.clock import Clock
from classpulse.errors import BadInput
from classpulse.records import CameraConfig, Delivery, RoomConfig, RoomPlan, room_of
from classpulse.roster import Roster, is_bridged
from classpulse.timetable import DAY_MS, MOST_DAYS, due, turns

LOOK_EVERY_MS = 1_000
REPEAT_EVERY_MS = 24 * 60 * 60 * 1000
"""An unchanged plan is logged again after this, so that what retention leaves of the log can be replayed."""

AWAY_MS = 60_000
"""Whoever has not looked for so long may have missed that a timetable turned, and turned back."""


class Plans:
    """What each room is to be aggregated by, and which of it was logged."""

    def __init__(self, bus: Bus, clock: Clock, bucket_ms: int) -> None:
        self._bucket_ms = bucket_ms
        self._roster = Roster(bus, clock)
        self._logged: dict[str, RoomPlan] = {}
        self._looked_at: set[str] = set()
        self._configs: dict[str, RoomConfig] = {}
        self._cameras: dict[str, CameraConfig] = {}
        self._due_ms: int | None = None

    def due(self, now_ms: int, mine: Callable[[str], bool], known: Mapping[str, RoomPlan | None]) -> list[RoomPlan]:
        """The plans to log now, of the rooms that are `mine`; `known` are the plans the rooms go by already.

        Looks at most every LOOK_EVERY_MS.
        """
        if self._due_ms is not None and now_ms < self._due_ms:
            return []
        self._due_ms, away = now_ms + LOOK_EVERY_MS, self._due_ms is None or now_ms - self._due_ms > AWAY_MS
        self._configs, self._cameras = self._roster.rooms(now_ms), self._roster.cameras()
        watched: dict[str, dict[str, Delivery]] = {}
        for key, camera in sorted(self._cameras.items()):
            if camera.enabled:
                watched.setdefault(room_of(key), {})[key] = camera.delivery
        plans, looked_at = [], set()
        for room in filter(mine, sorted({*self._configs, *map(room_of, self._cameras), *known})):
            before = max(
                filter(None, (self._logged.get(room), known.get(room))), key=lambda plan: plan.at_ms, default=None
            )
            plan = self._plan(room, watched.get(room, {}), now_ms)
            if before is not None and (away or room not in self._looked_at or plan.due != before.due):
                plan = msgspec.structs.replace(plan, turns=_turns(plan, before))
            looked_at.add(room)
            if _says_more(plan, before):
                self._logged[room] = plan
                plans.append(plan)
        self._looked_at = looked_at
        return plans

    def bridged(self, camera: str) -> bool:
        """Whether a camera's story comes over a bridge, as far as was looked."""
        return camera in self._cameras and is_bridged(self._cameras[camera])

    def _plan(self, room: str, watched: dict[str, Delivery], now_ms: int) -> RoomPlan:
        """The plan of a room now, `watched` by these cameras."""
        config = self._configs.get(room, RoomConfig(room=room))
        cameras = watched if config.enabled else {}
        return RoomPlan(
            config=config, cameras=cameras, at_ms=now_ms, bucket_ms=self._bucket_ms, due=_due(config, now_ms)
        )


def _due(config: RoomConfig, now_ms: int) -> bool:
    """Whether a room is to be observed; one whose time zone nobody knows is not (ingest says so and opens none of its cameras)."""
    try:
        return due(config, now_ms)
    except BadInput:
        return False


def _turns(plan: RoomPlan, before: RoomPlan) -> tuple[tuple[int, bool], ...]:
    """When the timetable has turned since the plan before; where the configuration is another one, its own time is the turn.

    One that was announced holds from the moment it said.
    """
    from_ms = plan.config.valid_from_ms
    try:
        if before.at_ms < from_ms <= plan.at_ms:
            found = turns(before.config, before.at_ms, from_ms - 1)
            was, now = found[-1][1] if found else before.due, due(plan.config, from_ms)
            known = from_ms >= plan.at_ms - MOST_DAYS * DAY_MS  # as far back as turns look
            found += ((from_ms, now),) if known and was != now else ()
            found += turns(plan.config, from_ms, plan.at_ms)
        else:
            found = turns(before.config, before.at_ms, plan.at_ms)
    except BadInput:
        found = ()
    last = found[-1][1] if found else before.due
    return found if last == plan.due else (*found, (plan.at_ms, plan.due))


def _says_more(plan: RoomPlan, before: RoomPlan | None) -> bool:
    """Whether a plan is worth logging: it differs, or the one before is old. A room without cameras needs none."""
    if before is None:
        return bool(plan.cameras)
    if plan.at_ms - before.at_ms >= REPEAT_EVERY_MS:
        return bool(plan.cameras)
    if plan.turns and plan.cameras:
        return True
    return msgspec.structs.replace(plan, at_ms=before.at_ms, due=before.due, turns=before.turns) != before
