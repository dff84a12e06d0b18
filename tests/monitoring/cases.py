"""One row a rule. Times are steps, a minute long unless `step` says else."""

from tests.monitoring.case import Case, Series
from tests.monitoring.cluster_cases import CLUSTER
from tests.monitoring.objective_cases import OBJECTIVES
from tests.monitoring.series import counter, gauge


def cameras(**states: str) -> Series:
    return {f'classpulse_cameras{{instance="i",state="{state}"}}': values for state, values in states.items()}


def oldest(topic: str) -> str:
    return f'classpulse_oldest_record_timestamp_seconds{{topic="{topic}"}}'


CAMERA = 'classpulse_camera_state{{instance="i",camera="t/s/r/c",state="{}"}}'
INGEST = {'classpulse_cameras{state="up"}': gauge((30, 0))}
DETECT = {'classpulse_model_info{digest="d"}': gauge((30, 1))}
AGGREGATE = {'classpulse_rooms{state="seen"}': gauge((30, 0))}
BRIDGE = {'classpulse_reader_lag_records{stage="bridge"}': gauge((30, 0))}
MIB = 1024 * 1024

SEEN = (
    Case(
        "CameraSilent",
        # It changes between the two states of a camera that is not seen.
        {
            CAMERA.format("silent"): gauge((5, 0), (3, 1), (3, 0), (9, 0)),
            CAMERA.format("connecting"): gauge((8, 0), (3, 1), (9, 0)),
        },
        {
            CAMERA.format("off"): gauge((20, 1)),
            CAMERA.format("silent"): gauge((20, 0)),
            CAMERA.format("up"): gauge((20, 0)),
        },
        before=7,
        fires=9,
        after=12,
        labels={"camera": "t/s/r/c"},
    ),
    Case(
        "CamerasSilent",
        cameras(silent=gauge((5, 0), (10, 4), (5, 0)), up=gauge((20, 500))),
        cameras(silent=gauge((20, 1))) | {CAMERA.format("silent"): gauge((20, 1))},
        before=7,
        fires=9,
        after=16,
        labels={"instance": "i"},
    ),
    Case(
        "ManyCamerasSilent",
        cameras(silent=gauge((5, 0), (10, 5), (5, 0)), up=gauge((20, 20)), off=gauge((20, 1000))),
        cameras(silent=gauge((20, 2)), up=gauge((20, 0)), off=gauge((20, 100))),
        before=9,
        fires=11,
        after=16,
    ),
    Case(
        "RoomUnseen",
        {'classpulse_rooms{state="unseen"}': gauge((5, 0), (10, 2), (5, 0))},
        {'classpulse_rooms{state="not_due"}': gauge((20, 2)), 'classpulse_rooms{state="unseen"}': gauge((20, 0))},
        before=9,
        fires=11,
        after=16,
    ),
    Case(
        "ClockSkew",
        {'classpulse_clock_skew_seconds{stage="detect"}': gauge((5, 0), (10, 3), (5, 0))},
        {'classpulse_clock_skew_seconds{stage="detect"}': gauge((20, 1.5))},
        before=9,
        fires=11,
        after=16,
        labels={"stage": "detect"},
    ),
)

ROUTE = (
    Case(
        "StageAbsent",
        {'classpulse_cameras{state="up"}': gauge((5, 0), (15, None), (10, 0))} | DETECT | AGGREGATE,
        INGEST | DETECT | AGGREGATE,
        before=8,
        fires=17,
        after=22,
        labels={"stage": "ingest"},
    ),
    Case(
        "StageAbsent",
        {'classpulse_model_info{digest="d"}': gauge((5, 1), (15, None), (10, 1))} | INGEST | AGGREGATE,
        INGEST | DETECT | AGGREGATE,
        before=8,
        fires=17,
        after=22,
        labels={"stage": "detect"},
    ),
    Case(
        "StageAbsent",
        {'classpulse_rooms{state="seen"}': gauge((5, 0), (15, None), (10, 0))} | INGEST | DETECT,
        INGEST | DETECT | BRIDGE,
        before=8,
        fires=17,
        after=22,
        labels={"stage": "aggregate"},
    ),
    Case(
        "StageBehind",
        {'classpulse_oldest_unprocessed_seconds{stage="aggregate",instance="i"}': gauge((5, 1), (10, 40), (5, 1))},
        {
            'classpulse_oldest_unprocessed_seconds{stage="aggregate",instance="i"}': gauge(
                (4, 29), (3, 90), (4, 29), (3, 90), (6, 0)
            )
        },
        before=9,
        fires=11,
        after=16,
        labels={"stage": "aggregate"},
    ),
    Case(
        "FramesAboutToExpire",
        {'classpulse_oldest_unprocessed_seconds{stage="detect"}': gauge((5, 100), (10, 310), (5, 1))},
        {'classpulse_oldest_unprocessed_seconds{stage="aggregate"}': gauge((20, 5000))},
        before=5,
        fires=7,
        after=16,
    ),
    Case(
        "FramesExpired",
        {'classpulse_missing_frames_total{instance="i",reason="expired"}': counter((5, 0), (1, 40), (20, 0))},
        {'classpulse_missing_frames_total{instance="i",reason="stale"}': counter((20, 40))},
        before=5,
        fires=7,
        after=18,
    ),
    Case(
        "DeadLetters",
        {'classpulse_deadletters_total{reason="wrong_type"}': counter((5, 0), (1, 1), (30, 0))},
        {'classpulse_deadletters_total{reason="wrong_type"}': gauge((30, 0))},
        before=5,
        fires=7,
        after=25,
        labels={"reason": "wrong_type"},
    ),
    Case(
        "DeadLetters",  # of a worker on Ray, whose series is there from the first of them on
        {'classpulse_deadletters_total{reason="bad_size",worker="1"}': gauge((5, None), (40, 1))},
        {'classpulse_deadletters_total{reason="bad_size",instance="i"}': gauge((5, None), (40, 0))},
        before=4,
        fires=6,
        after=25,
        labels={"reason": "bad_size"},
    ),
    Case(
        "ModelSwapRefused",
        {'classpulse_model_swap_total{result="refused",worker="1"}': gauge((5, None), (90, 1))},
        {'classpulse_model_swap_total{result="refused",worker="1"}': gauge((90, 0))},
        before=4,
        fires=6,
        after=70,
    ),
    Case(
        "CanaryMissed",
        {'classpulse_canary_missed_total{node="n"}': counter((5, 0), (1, 1), (4, 0), (1, 1), (30, 0))},
        {'classpulse_canary_missed_total{node="n"}': counter((5, 0), (1, 1), (20, 0), (1, 1), (10, 0))},
        before=8,
        fires=12,
        after=30,
        labels={"node": "n"},
    ),
    Case(
        "CanaryAbsent",
        {'classpulse_canary_missed_total{node="n"}': gauge((5, 0), (30, None), (10, 0))},
        {'classpulse_canary_missed_total{node="n"}': gauge((40, 0))},
        before=15,
        fires=30,
        after=36,
    ),
    Case(
        "TransactionsFail",
        {
            'classpulse_transactions_total{instance="i",result="committed"}': counter((5, 60), (20, 5), (15, 60)),
            'classpulse_transactions_total{instance="i",result="retried"}': counter((5, 0), (20, 5), (15, 0)),
        },
        {
            'classpulse_transactions_total{instance="i",result="committed"}': counter((30, 60)),
            'classpulse_transactions_total{instance="i",result="retried"}': counter((30, 1)),
            'classpulse_transactions_total{instance="idle",result="committed"}': gauge((30, 0)),
            'classpulse_transactions_total{instance="idle",result="retried"}': gauge((30, 0)),
        },
        before=12,
        fires=20,
        after=33,
        labels={"instance": "i"},
    ),
    Case(
        "RecordTooLarge",
        {'classpulse_transactions_total{instance="i",result="too_large"}': counter((5, 0), (1, 1), (90, 0))},
        {'classpulse_transactions_total{instance="i",result="retried"}': counter((30, 1))},
        before=5,
        fires=7,
        after=70,
        labels={"instance": "i"},
    ),
)

KEPT = (
    Case(
        "DiskFilling",
        {
            'classpulse_disk_free_bytes{instance="i"}': gauge(
                (60, 10e9), *((1, 10e9 - n * 50e6) for n in range(90)), (90, 20e9)
            )
        },
        {'classpulse_disk_free_bytes{instance="i"}': gauge(*((1, 90e9 - n * 50e6) for n in range(120)))},
        before=70,
        fires=145,
        after=225,
        labels={"instance": "i"},
    ),
    Case(
        "DiskFull",
        {'classpulse_disk_free_bytes{instance="i"}': gauge((5, 600 * MIB), (10, 500 * MIB), (5, 900 * MIB))},
        {'classpulse_disk_free_bytes{instance="i"}': gauge((20, 513 * MIB))},
        before=6,
        fires=8,
        after=16,
        labels={"instance": "i"},
    ),
    Case(
        # The clock of these series begins at 0: the oldest picture was appended after a minute, and goes after an hour.
        "RetentionLate",
        {oldest("frames"): gauge((60, 60), (20, 3540)), oldest("detections"): gauge((80, 60))},
        {oldest("frames"): gauge((80, 0)), oldest("events"): gauge((80, 60)), oldest("deadletters"): gauge((80, 60))},
        before=35,
        fires=45,
        after=62,
        labels={"topic": "frames"},
    ),
    Case(
        "RetentionLate",
        {oldest("detections"): gauge((200, 3600), (20, 180 * 3600))},
        {oldest("detections"): gauge(*((1, max(0, n - 7 * 24) * 3600 + 60) for n in range(220)))},
        before=190,
        fires=198,
        after=205,
        labels={"topic": "detections"},
        step=60,
    ),
    Case(
        "RetentionLate",
        {oldest("deadletters"): gauge((17 * 24, 3600), (20, 400 * 3600))},
        {oldest("deadletters"): gauge((15 * 24, 3600))},
        before=16 * 24,
        fires=16 * 24 + 4,
        after=17 * 24 + 5,
        labels={"topic": "deadletters"},
        step=60,
    ),
    Case(
        "RetentionLate",
        {oldest("events"): gauge((33 * 24, 3600), (20, 780 * 3600))},
        {oldest("events"): gauge((31 * 24, 3600))},
        before=32 * 24,
        fires=32 * 24 + 4,
        after=33 * 24 + 5,
        labels={"topic": "events"},
        step=60,
    ),
)

ACCOUNTS = (
    Case(
        "ConservationBroken",
        {"classpulse_audit_unexplained_frames": gauge((5, 0), (5, 3), (5, 0))},
        {"classpulse_audit_unexplained_frames": gauge((15, 0))},
        before=4,
        fires=6,
        after=11,
    ),
    Case(
        "AuditNotRunning",
        {"classpulse_audit_last_timestamp_seconds": gauge((180, 60), (20, 180 * 60))},
        {"classpulse_audit_last_timestamp_seconds": gauge(*((30, n * 1800) for n in range(8)))},
        before=135,
        fires=160,
        after=182,
    ),
    Case(
        "AuditAbsent",
        {"classpulse_audit_last_timestamp_seconds": gauge((5, 60), (60, None), (10, 3600))},
        {"classpulse_audit_last_timestamp_seconds": gauge((70, 60))},
        before=30,
        fires=50,
        after=67,
    ),
)

FLEET = (
    Case(
        "WorkerRestarts",
        {
            'classpulse_worker_restarts_total{node="n",process="detect-0"}': counter((5, 0), (2, 1), (30, 0)),
            # On Ray a series begins with the first restart.
            'classpulse_worker_restarts_total{node="n",process="detect-1",worker="fleet"}': gauge((8, None), (30, 1)),
        },
        {
            'classpulse_worker_restarts_total{node="n",process="detect-0"}': counter(
                (5, 0), (2, 1), (20, 0), (1, 1), (9, 0)
            ),
            'classpulse_worker_restarts_total{node="o",process="detect-0"}': counter((5, 0), (1, 1), (30, 0)),
        },
        before=7,
        fires=9,
        after=26,
        labels={"node": "n"},
    ),
    Case(
        "ModelSwapRefused",
        {'classpulse_model_swap_total{result="refused"}': counter((5, 0), (1, 1), (90, 0))},
        {'classpulse_model_swap_total{result="done"}': counter((20, 1))},
        before=5,
        fires=7,
        after=70,
    ),
    Case(
        "ModelSwapRolledBack",
        {'classpulse_model_swap_total{result="rolled_back"}': counter((5, 0), (1, 1), (90, 0))},
        {'classpulse_model_swap_total{result="refused"}': counter((20, 1))},
        before=5,
        fires=7,
        after=70,
    ),
)

CASES = (*SEEN, *ROUTE, *KEPT, *ACCOUNTS, *FLEET, *CLUSTER, *OBJECTIVES)
