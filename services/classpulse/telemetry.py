"""What operators see: every metric of the product in one place, with its labels. Counters never feed an account."""

import logging
import sys

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from classpulse.errors import Fatal

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
REGISTRY = CollectorRegistry()

FRAMES_CAPTURED = Counter("classpulse_frames_captured", "Sampled frames given a sequence", registry=REGISTRY)
FRAMES_PUBLISHED = Counter("classpulse_frames_published", "Frames committed to the bus", registry=REGISTRY)
FRAMES_DROPPED = Counter(
    "classpulse_frames_dropped", "Captured frames that will never be detections", ["stage", "reason"], registry=REGISTRY
)
FRAMES_DETECTED = Counter("classpulse_frames_detected", "Frames the net has seen", registry=REGISTRY)
CAMERA_STATE = Gauge(
    "classpulse_camera_state", "1 for the state a camera is in", ["camera", "state"], registry=REGISTRY
)
CAMERA_LAST_FRAME = Gauge(
    "classpulse_camera_last_frame_timestamp_seconds", "Capture time of the last frame", ["camera"], registry=REGISTRY
)
STAGE_DURATION = Histogram(
    "classpulse_stage_duration_seconds",
    "Time per step of a stage",
    ["stage", "step"],
    buckets=SECONDS,
    registry=REGISTRY,
)
BATCH_FRAMES = Histogram(
    "classpulse_batch_frames", "Frames handled per step", buckets=(1, 2, 4, 8, 16, 32, 64), registry=REGISTRY
)
CAPTURE_TO_DETECTION = Histogram(
    "classpulse_capture_to_detection_seconds", "Capture to committed detection", buckets=SECONDS, registry=REGISTRY
)
CAPTURE_TO_EVENT = Histogram(
    "classpulse_capture_to_event_seconds", "Capture to readable event", buckets=SECONDS, registry=REGISTRY
)
READER_LAG = Gauge(
    "classpulse_reader_lag_records", "Records not yet committed by a group", ["stage"], registry=REGISTRY
)
OLDEST_UNPROCESSED = Gauge(
    "classpulse_oldest_unprocessed_seconds", "Age of the oldest record next in turn", ["stage"], registry=REGISTRY
)
MODEL_INFO = Gauge("classpulse_model_info", "1 for the model in use", ["digest"], registry=REGISTRY)
MODEL_SWAPS = Counter(
    "classpulse_model_swap", "Releases replaced while looking, by result", ["result"], registry=REGISTRY
)
TRANSACTIONS = Counter("classpulse_transactions", "Atomic steps by result", ["result"], registry=REGISTRY)
DEADLETTERS = Counter("classpulse_deadletters", "Records put aside", ["reason"], registry=REGISTRY)
CANARY_MISSED = Counter(
    "classpulse_canary_missed", "Canary lessons of which an event did not come in time", ["node"], registry=REGISTRY
)
CANARY_DELAY = Histogram(
    "classpulse_canary_delay_seconds",
    "From when a canary lesson's event was due to when it could be read",
    ["node"],
    buckets=SECONDS,
    registry=REGISTRY,
)

_log = logging.getLogger("classpulse")


def serve_metrics(port: int) -> None:
    """Serve the registry on loopback at `port`; 0 serves nothing. Raises Fatal naming a port that is taken."""
    if port == 0:
        return
    try:
        start_http_server(port, addr="127.0.0.1", registry=REGISTRY)
    except OSError as error:
        raise Fatal(f"metrics_port = {port}: {error}; expected a free port or 0") from error


def start_logging(stage: str, level: str = "INFO") -> None:
    """One line per event on standard error, with the stage's name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s {stage} %(message)s"))
    _log.handlers[:] = [handler]
    _log.setLevel(level)
