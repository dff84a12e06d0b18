"""Named fault points: places where a test may kill this process, to prove that nothing is lost or counted twice.

A point costs one dictionary look-up when nothing is armed. `arm` is called by a stage's `main` from its settings.
"""

import os
import signal

POINTS = (
    "ingest.decoded",  # a frame is decoded, nothing of it is written
    "ingest.encoded",  # its JPEG exists, it is not on the bus
    "ingest.published",  # it is on the bus, the source has not gone on
    "stage.polled",  # records are fetched, none handled
    "stage.stepped",  # outputs exist, nothing is committed
    "stage.committed",  # outputs and positions are committed, the loop has not noticed
    "bus.begun",  # inside the transaction, before the first write
    "bus.outputs_written",  # inside the transaction: outputs without positions
    "bus.positions_written",  # inside the transaction: all written, not committed
    "aggregate.state_taken",  # the state is changed in memory only
    "bridge.acknowledged",  # the district has it, the school does not know
    "supervisor.stage_started",  # a child runs, the supervisor has not recorded it
    "supervisor.watching",  # all children run
    "export.planned",  # the manifest says which files come, none is there
    "export.written",  # a file is on the disk, under no name that anybody reads
    "export.shown",  # it has its name, the manifest does not count it yet
    "export.recorded",  # a range of the log is in the files, and the manifest says so
    "erase.inputs_cut",  # what it could be computed from again is gone, the rest is there
    "erase.deleted",  # the buckets are deleted too
    "erase.republished",  # a batch of the events that stay is there twice, nothing of events is cut off
    "erase.events_cut",  # nothing is left in the log, export folders hold it still
)
PROCESSES = ("ingest", "detect", "aggregate", "bridge", "supervisor", "export", "erase")
SHARED = ("stage", "bus")
_armed: dict[str, int] = {}


def arm(spec: str) -> None:
    """Arm `point:n` (several separated by commas): the process kills itself with SIGKILL at the n-th passing of a point.

    Raises ValueError for an unknown point or a count below 1.
    """
    for one in spec.split(","):
        point, count = _parse(one)
        _armed[point] = count


def check(setting: str) -> None:
    """Raise ValueError for a faults setting (`[PROCESS/]point:n,...`) that cannot be armed by anybody."""
    for one in filter(None, setting.split(",")):
        owner, slash, spec = one.rpartition("/")
        if slash and owner not in PROCESSES:
            raise ValueError(f"fault {one!r} is of no process; expected one of {', '.join(PROCESSES)} before the /")
        _parse(spec)


def faults_of(process: str, setting: str) -> str:
    """The part of a faults setting that concerns one process, for `arm`; empty where nothing does.

    Without a process before it, `stage.*` and `bus.*` concern all but the supervisor, others the process of their name.
    """
    mine = []
    for one in filter(None, setting.split(",")):
        owner, _, spec = one.rpartition("/")
        first = spec.partition(".")[0]
        theirs = process != "supervisor" if first in SHARED else process == first
        if process == owner or (not owner and theirs):
            mine.append(spec)
    return ",".join(mine)


def _parse(spec: str) -> tuple[str, int]:
    point, _, count = spec.partition(":")
    if point not in POINTS or not count.isdecimal() or int(count) < 1:
        raise ValueError(
            f"fault {spec!r} is unknown; expected POINT:N with N >= 1 and POINT one of {', '.join(POINTS)}"
        )
    return point, int(count)


def fault(point: str) -> None:
    """Pass a fault point; never returns when it is armed and due."""
    if not _armed or point not in _armed:
        return
    _armed[point] -= 1
    if _armed[point] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
