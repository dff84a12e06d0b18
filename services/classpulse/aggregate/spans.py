"""aggregate, first leg: detections of one behaviour, frame after frame → spans of one person's behaviour.

Pure and by time alone: how many frames there were never matters, only how long they spoke. A span lasts from its first
detection to the end of what its last detection's frame spoke for. Its rule is satisfied by its strong detections alone:
those with the rule's least score, with no gap longer than the rule allows, from the first to the end of what the last
spoke for. Weak ones satisfy nothing, but a span begins and ends with them too (hysteresis, as Canny's edges have it).
"""

from collections.abc import Sequence

import msgspec

from classpulse.records import Detection, Rule

LEAST_IOU = 0.2
"""Two boxes of neighbouring frames that overlap less are two people."""

MOST_PER_BEHAVIOUR = 256
"""Of a picture with more detections of one behaviour only the first, best this many are linked: a bound on time and state."""

Box = tuple[float, float, float, float]


class Span(msgspec.Struct, array_like=True):
    """One behaviour of somebody, still open. `live`: detected in the newest frame, so its end moves with the time.

    The rule's score and durations are those in force when it began. `strong`: the last detection had that score; strong
    ones have followed each other from `strong_from_ms` (None: there was none yet) to `strong_to_ms`.
    """

    behaviour: str
    start_ms: int
    ordinal: int
    least_duration_ms: int
    longest_gap_ms: int
    box_xyxy: Box
    end_ms: int
    model: str
    live: bool = True
    confirmed: bool = False
    least_score: float = 0.0
    strong: bool = False
    strong_from_ms: int | None = None
    strong_to_ms: int = 0

    @property
    def satisfied(self) -> bool:
        """Whether strong detections have lasted as long as its rule wants."""
        since_ms = self.strong_from_ms
        return since_ms is not None and self.strong_to_ms - since_ms >= self.least_duration_ms

    def detected(self, detection: Detection, at_ms: int, model: str) -> None:
        """A frame shows it again, or for the first time."""
        self.box_xyxy, self.model, self.live = detection.box_xyxy, model, True
        self.end_ms = max(self.end_ms, at_ms)
        self.strong = detection.score >= self.least_score
        if self.strong:
            if self.strong_from_ms is None or at_ms - self.strong_to_ms > self.longest_gap_ms:
                self.strong_from_ms = at_ms
            self.strong_to_ms = max(self.strong_to_ms, at_ms)


def grow(spans: Sequence[Span], until_ms: int) -> None:
    """The newest frame has spoken up to `until_ms`: live spans last at least until then."""
    for span in spans:
        if span.live:
            span.end_ms = max(span.end_ms, until_ms)
            if span.strong:
                span.strong_to_ms = max(span.strong_to_ms, until_ms)


def silence(spans: Sequence[Span]) -> None:
    """The newest frame speaks no longer: no span grows until it is detected again."""
    for span in spans:
        span.live = False


def over(spans: Sequence[Span], at_ms: int) -> list[Span]:
    """The spans whose gap at `at_ms` is longer than their rule allows."""
    return [span for span in spans if at_ms - span.end_ms > span.longest_gap_ms]


def follow(
    spans: Sequence[Span],
    seen: Sequence[Detection],
    at_ms: int,
    *,
    rule: Rule,
    model: str,
    ordinal: int,
) -> list[Span]:
    """Continue `spans` with what one frame shows of the same behaviour; gives the spans that begin here.

    New ones are numbered from `ordinal`, left to right (then top to bottom).
    """
    unmatched: list[Detection] = []
    considered = seen[:MOST_PER_BEHAVIOUR]
    for detection, span in zip(considered, match(spans, considered), strict=True):
        if span is None:
            unmatched.append(detection)
        else:
            span.detected(detection, at_ms, model)
    unmatched.sort(key=lambda one: one.box_xyxy)
    return [_begin(one, at_ms, rule, model, ordinal + place) for place, one in enumerate(unmatched)]


def _begin(detection: Detection, at_ms: int, rule: Rule, model: str, ordinal: int) -> Span:
    span = Span(
        behaviour=detection.behaviour,
        start_ms=at_ms,
        ordinal=ordinal,
        least_duration_ms=rule.least_duration_ms,
        longest_gap_ms=rule.longest_gap_ms,
        box_xyxy=detection.box_xyxy,
        end_ms=at_ms,
        model=model,
        least_score=rule.least_score,
    )
    span.detected(detection, at_ms, model)
    return span


def match(spans: Sequence[Span], detections: Sequence[Detection]) -> list[Span | None]:
    """For each detection the span it continues: greedy by IoU, best first, ties by the order of spans, then detections."""
    pairs = [
        (-overlap, s, d)
        for s, span in enumerate(spans)
        for d, detection in enumerate(detections)
        if (overlap := iou(span.box_xyxy, detection.box_xyxy)) >= LEAST_IOU
    ]
    pairs.sort()
    found: list[Span | None] = [None] * len(detections)
    taken: set[int] = set()
    for _, s, d in pairs:
        if s not in taken and found[d] is None:
            taken.add(s)
            found[d] = spans[s]
    return found


def iou(a_xyxy: Box, b_xyxy: Box) -> float:
    """Intersection over union; 0 for boxes without area."""
    ax0, ay0, ax1, ay1 = a_xyxy
    bx0, by0, bx1, by1 = b_xyxy
    if ax1 <= bx0 or bx1 <= ax0 or ay1 <= by0 or by1 <= ay0:
        return 0.0  # most pairs: apart
    width, height = min(ax1, bx1) - max(ax0, bx0), min(ay1, by1) - max(ay0, by0)
    if width <= 0 or height <= 0:
        return 0.0  # a box turned inside out
    inner = width * height
    union = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - inner
    return inner / union if union > 0 else 0.0
