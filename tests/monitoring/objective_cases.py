"""The cases of the two objectives: enough late or unseen for one pair of windows and no other."""

from tests.monitoring.case import Case, Series
from tests.monitoring.series import counter


def late(*parts: tuple[int, float, float]) -> Series:
    """So many steps with so many events, of which a share came after more than 2 s."""
    return {
        'classpulse_capture_to_event_seconds_bucket{le="2.0"}': counter(
            *((n, rate * (1 - bad)) for n, rate, bad in parts)
        ),
        "classpulse_capture_to_event_seconds_count": counter(*((n, rate) for n, rate, _ in parts)),
    }


def unobserved(*parts: tuple[int, float, float]) -> Series:
    """So many steps with so many scheduled seconds, of which a share was not observed."""
    return {
        "classpulse_observed_seconds_total": counter(*((n, rate * (1 - bad)) for n, rate, bad in parts)),
        "classpulse_due_seconds_total": counter(*((n, rate) for n, rate, _ in parts)),
    }


# A day is 144 steps of ten minutes. Busy days before a quieter one keep the share over three days small, whatever that one's is.
OBJECTIVES = (
    Case(
        "EventsLate",
        late((360, 10, 0), (60, 10, 0.2), (30, 10, 0)),
        late((360, 10, 0.02), (60, 10, 0.05), (30, 0, 0)),
        before=380,
        fires=410,
        after=430,
        labels={"window": "1h"},
    ),
    Case(
        "EventsLate",
        late((360, 10, 0), (300, 10, 0.1), (90, 10, 0)),
        late((700, 10, 0.05)),
        before=560,
        fires=600,
        after=700,
        labels={"window": "6h"},
    ),
    Case(
        "EventsLateSlowly",
        late((216, 1000, 0), (144, 100, 0), (110, 100, 0.05), (60, 100, 0)),
        late((500, 100, 0.005)),
        before=420,
        fires=465,
        after=490,
        labels={"window": "1d"},
        step=10,
    ),
    Case(
        "EventsLateSlowly",
        late((432, 100, 0), (330, 100, 0.02), (100, 100, 0)),
        late((432, 100, 0), (200, 100, 0.02), (100, 100, 0)),
        before=600,
        fires=700,
        after=805,
        labels={"window": "3d"},
        step=10,
    ),
    Case(
        "SecondsUnobserved",
        unobserved((360, 600, 0), (60, 600, 0.1), (30, 600, 0)),
        unobserved((360, 600, 0.01), (60, 600, 0.02), (30, 0, 0)),
        before=380,
        fires=410,
        after=430,
        labels={"window": "1h"},
    ),
    Case(
        "SecondsUnobserved",
        unobserved((360, 600, 0), (300, 600, 0.05), (90, 600, 0)),
        unobserved((700, 600, 0.025)),
        before=560,
        fires=600,
        after=700,
        labels={"window": "6h"},
    ),
    Case(
        "SecondsUnobservedSlowly",
        unobserved((216, 6000, 0), (144, 600, 0), (110, 600, 0.025), (60, 600, 0)),
        unobserved((500, 600, 0.004)),
        before=420,
        fires=465,
        after=490,
        labels={"window": "1d"},
        step=10,
    ),
    Case(
        "SecondsUnobservedSlowly",
        unobserved((432, 600, 0), (330, 600, 0.01), (100, 600, 0)),
        unobserved((432, 600, 0), (200, 600, 0.01), (100, 600, 0)),
        before=600,
        fires=700,
        after=805,
        labels={"window": "3d"},
        step=10,
    ),
)
