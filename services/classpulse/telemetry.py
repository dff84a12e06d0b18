"""What operators see: every metric of the product in one place, with its labels. Counters never feed an account.

A process's main makes one `Metrics` and hands it to what counts. A metric is taken up when it is first named, so that a process
shows what it counts and no zeros of what others count.
"""

import logging
import sys
import threading
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

PREFIX = "classpulse_"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""2 s is what is promised for events."""

FRAMES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)

_log = logging.getLogger("classpulse")


class Counting(Protocol):
    """A number that only rises."""

    def labels(self, *values: str) -> "Counting":
        """The one of these labels' values."""
        ...

    def remove(self, *values: str) -> None:
        """Show the one of these values no more."""
        ...

    def inc(self, amount: float = 1) -> None:
        """Raise it."""
        ...


class Showing(Protocol):
    """A number as it is now."""

    def labels(self, *values: str) -> "Showing":
        """As `Counting.labels`."""
        ...

    def remove(self, *values: str) -> None:
        """As `Counting.remove`."""
        ...

    def set(self, value: float) -> None:
        """Replace it."""
        ...


class Measuring(Protocol):
    """How often which amounts came."""

    def labels(self, *values: str) -> "Measuring":
        """As `Counting.labels`."""
        ...

    def remove(self, *values: str) -> None:
        """As `Counting.remove`."""
        ...

    def observe(self, amount: float) -> None:
        """One more of them."""
        ...


@dataclass(frozen=True)
class Row:
    """A metric in the table; only a histogram has `buckets`."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    meaning: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()

    @property
    def shown(self) -> str:
        """The name as people see it."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


class Maker(Protocol):
    """Where metrics are shown: on a registry of Prometheus's client, or by Ray."""

    def counter(self, row: Row) -> Counting:
        """A metric that counts."""
        ...

    def gauge(self, row: Row) -> Showing:
        """A metric that shows a state."""
        ...

    def histogram(self, row: Row) -> Measuring:
        """A metric that measures."""
        ...


_Kind = TypeVar("_Kind")


class _Metric(Generic[_Kind]):
    """A row of the table, which becomes a metric of the `Metrics` on which it is first named."""

    def __init__(self, row: Row) -> None:
        self.row = row

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name
        self.row = replace(self.row, name=PREFIX + name)

    def __get__(self, metrics: "Metrics", _owner: type) -> _Kind:
        made: _Kind = metrics.taken_up(self._name, self.row)
        return made


def _counter(meaning: str, *labels: str) -> _Metric[Counting]:
    return _Metric(Row("counter", "", meaning, labels))


def _gauge(meaning: str, *labels: str) -> _Metric[Showing]:
    return _Metric(Row("gauge", "", meaning, labels))


def _histogram(meaning: str, *labels: str, buckets: tuple[float, ...] = SECONDS) -> _Metric[Measuring]:
    return _Metric(Row("histogram", "", meaning, labels, buckets))


class Metrics:
    """The metrics of one process, each under its name in docs/metrics.md without prefix and `_total`."""

    frames_captured = _counter("sampled frames given a sequence")
    frames_published = _counter("frames committed to the bus")
    frames_dropped = _counter("captured frames that will never be detections", "stage", "reason")
    frames_detected = _counter("frames the net has seen")
    cameras = _gauge(
        "how many cameras of this ingest are in a state, by the states of classpulse_camera_state", "state"
    )
    camera_state = _gauge(
        "1 for the state a camera is in, 0 for the others: up (pictures come), connecting (it is being connected to), silent (no"
        " pictures come: its report says why), off (nobody is to be observed, or its recording is over)",
        "camera",
        "state",
    )
    camera_last_frame_timestamp_seconds = _gauge("capture time of the last frame", "camera")
    stage_duration_seconds = _histogram(
        "time per step of a stage; look: one call of the net, of one picture or on an accelerator of several",
        "stage",
        "step",
    )
    batch_frames = _histogram("frames handled per step", buckets=FRAMES)
    capture_to_detection_seconds = _histogram("capture to committed detection")
    capture_to_event_seconds = _histogram("capture of the frame that satisfied the rule to readable event")
    rooms = _gauge(
        "rooms of this aggregate by what was seen of them lately: seen, unseen (the timetable says that they are to be"
        " observed, and nothing was), not_due",
        "state",
    )
    due_seconds = _counter("time of final buckets in which rooms were to be observed")
    observed_seconds = _counter("time of final buckets in which rooms were observed")
    missing_frames = _counter("captured frames that are missing in final buckets, by why", "reason")
    reader_lag_records = _gauge("records a group has not committed yet", "stage")
    oldest_unprocessed_seconds = _gauge(
        "how long the next record of this process had waited since it was appended, when it was last looked at; 0 when nothing"
        " waits",
        "stage",
    )
    clock_skew_seconds = _gauge(
        "how far a record's capture time was ahead of its append time, the greatest of the last minutes; 0 when none was",
        "stage",
    )
    oldest_record_timestamp_seconds = _gauge(
        "when the oldest record that can still be read was appended: of frames and detections by who reads them, of its"
        " partitions; of events and deadletters by the audit; 0 where there is none",
        "topic",
    )
    model_info = _gauge("1 for the model in use", "digest")
    model_swap = _counter(
        "releases that were to come in while a worker looked: done, refused (why is in the log and in"
        " CameraReport.refused_swap), rolled_back (broke off after the flip)",
        "result",
    )
    transactions = _counter("atomic steps: committed, retried, too_large", "result")
    deadletters = _counter("records put aside", "reason")
    worker_restarts = _counter(
        "processes that ended before they were told to: workers of a fleet by the node where they were, stages under up",
        "node",
        "process",
    )
    disk_free_bytes = _gauge("what is free where the data folder lies")
    audit_unexplained_frames = _gauge("frames that the last audit could not account for; 0 when it adds up")
    audit_last_timestamp_seconds = _gauge("when an audit was last finished")
    canary_missed = _counter(
        "canary lessons of which an event did not come in time, by the node that was to look; none where no node is known. The"
        " log says how far each came",
        "node",
    )
    canary_delay_seconds = _histogram(
        "of the events of canary lessons that came: from when each was due to when it could be read", "node"
    )

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._lock = threading.Lock()

    @classmethod
    def table(cls) -> list[Row]:
        """Every metric there is."""
        return [one.row for one in vars(cls).values() if isinstance(one, _Metric)]

    def taken_up(self, name: str, row: Row) -> Any:
        """The metric of that name, made the first time; where threads name it at once, by one of them."""
        with self._lock:
            if name not in self.__dict__:
                self.__dict__[name] = getattr(self._maker, row.kind)(row)  # from now on found before the table's row
            return self.__dict__[name]


class OnRegistry:
    """A `Maker` by Prometheus's own client."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, row: Row) -> Counting:
        """As `Maker.counter`."""
        return Counter(row.name, row.meaning, row.labels, registry=self._registry)

    def gauge(self, row: Row) -> Showing:
        """As `Maker.gauge`."""
        return Gauge(row.name, row.meaning, row.labels, registry=self._registry)

    def histogram(self, row: Row) -> Measuring:
        """As `Maker.histogram`."""
        return Histogram(row.name, row.meaning, row.labels, buckets=row.buckets, registry=self._registry)


def start_logging(stage: str, level: str = "INFO") -> None:
    """One line per event on standard error, with the stage's name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s {stage} %(message)s"))
    _log.handlers[:] = [handler]
    _log.setLevel(level)
