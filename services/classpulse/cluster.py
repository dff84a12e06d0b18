"""What `doctor --cluster` looks at: a running deployment as its Prometheus sees it, one function a thing."""

from collections.abc import Iterator
from dataclasses import dataclass

from classpulse.clock import Clock
from classpulse.diagnosis import Finding
from classpulse.errors import Recoverable
from classpulse.prometheus import Alert, Prometheus, Sample

RUNBOOK = "docs/runbook.md#"
BEHIND_S = 30
"""As the alert StageBehind."""

AUDITED_WITHIN_S = 2 * 3600
"""As the alert AuditNotRunning."""


@dataclass(frozen=True)
class Part:
    """A process that a deployment has: who tells `told` is one."""

    name: str
    told: str
    what_is_lost: str


INGEST = Part("ingest", "classpulse_cameras", "no camera is opened")
DETECT = Part("detect", "classpulse_model_info", "nobody looks at pictures, and they go unread after ten minutes")
AGGREGATE = Part("aggregate", "classpulse_rooms", "no timeline and no event is made")
BRIDGE = Part("bridge", 'classpulse_reader_lag_records{stage="bridge"}', "the district is told nothing")
AUDIT = Part("audit", "classpulse_audit_last_timestamp_seconds", "nothing shows that every frame is accounted for")
CANARY = Part("canary", "classpulse_canary_missed_total", "nothing proves that the route lives")


def findings(prometheus: Prometheus, clock: Clock) -> Iterator[Finding]:
    """Everything that can be seen from outside; only that it cannot, where Prometheus does not answer."""
    try:
        yield Finding("prometheus", f"{prometheus.url}: answers, version {prometheus.version()}")
        yield rules(prometheus)
        yield from silent_targets(prometheus)
        yield from parts(prometheus)
        yield from seen(prometheus)
        yield from waiting(prometheus)
        yield from accounts(prometheus, clock)
        yield from alerts(prometheus)
    except Recoverable as error:
        yield Finding("prometheus", str(error), right=False)


def rules(prometheus: Prometheus) -> Finding:
    """Whether the product's alerts are loaded there, and can be computed."""
    ours = [rule for rule in prometheus.rules() if _explained(rule.get("annotations", {}))]
    if not ours:
        return Finding(
            "rules", "no alert of the runbook is loaded; expected deploy/k8s/platform/monitoring", right=False
        )
    failed = [f"{rule['name']}: {rule['lastError']}" for rule in ours if rule["health"] == "err"]
    said = f"{len(ours)} alerts are loaded"
    return Finding("rules", "; ".join([said, *failed]), right=not failed)


def silent_targets(prometheus: Prometheus) -> Iterator[Finding]:
    """What Prometheus wants to ask and cannot."""
    for one in prometheus.query('up{job=~".*classpulse.*"} == 0'):
        what = f"target {one.labels.get('pod', one.labels['instance'])}"
        yield Finding(what, f"does not tell its metrics to the job {one.labels['job']}", right=False)


def parts(prometheus: Prometheus) -> Iterator[Finding]:
    """Which processes there are, and which should be. A school's own box has a bridge, and the rest of it elsewhere."""
    bridged = bool(_processes(prometheus, BRIDGE)) and not _processes(prometheus, AGGREGATE)
    for part in (INGEST, DETECT, BRIDGE) if bridged else (INGEST, DETECT, AGGREGATE, AUDIT, CANARY):
        count = _processes(prometheus, part)
        if count:
            yield Finding(part.name, f"{count} {'processes tell their' if count > 1 else 'process tells its'} metrics")
        else:
            yield Finding(part.name, f"absent: {part.what_is_lost}", right=False)


def seen(prometheus: Prometheus) -> Iterator[Finding]:
    """Whether pictures come from what should be seen."""
    for what, metric, wrong in (
        ("cameras", "classpulse_cameras", ("silent",)),
        ("rooms", "classpulse_rooms", ("unseen",)),
    ):
        found = {one.labels["state"]: int(one.value) for one in prometheus.query(f"sum by (state) ({metric})")}
        if found:
            said = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(found.items()))
            yield Finding(what, said, right=not any(found.get(state) for state in wrong))


def waiting(prometheus: Prometheus) -> Iterator[Finding]:
    """How far each stage is behind."""
    records = _by(prometheus.query("max by (stage) (classpulse_reader_lag_records)"), "stage")
    for stage, seconds in sorted(
        _by(prometheus.query("max by (stage) (classpulse_oldest_unprocessed_seconds)"), "stage").items()
    ):
        said = f"its next record has waited {seconds:.1f} s, {records.get(stage, 0):.0f} records wait"
        right = seconds <= BEHIND_S
        yield Finding(f"lag of {stage}", said if right else f"{said}; expected at most {BEHIND_S} s", right=right)


def accounts(prometheus: Prometheus, clock: Clock) -> Iterator[Finding]:
    """What the last audit said."""
    for ended in prometheus.query("max(classpulse_audit_last_timestamp_seconds) > 0"):
        unexplained = sum(one.value for one in prometheus.query("max(classpulse_audit_unexplained_frames)"))
        age_s = clock.now_ms() / 1000 - ended.value
        said = f"the last audit ended {age_s:.0f} s ago, and {unexplained:.0f} frames are not accounted for"
        yield Finding("accounts", said, right=not unexplained and age_s <= AUDITED_WITHIN_S)


def alerts(prometheus: Prometheus) -> Iterator[Finding]:
    """What fires, with its section of the runbook; and what may soon."""
    ours = [alert for alert in prometheus.alerts() if _explained(alert.annotations)]
    for alert in sorted(ours, key=lambda one: (one.state, one.labels.get("severity", ""), one.name)):
        firing = alert.state == "firing"
        yield Finding(f"alert {alert.name}", _sentence(alert), right=not firing)
    if not any(alert.state == "firing" for alert in ours):
        yield Finding("alerts", "none fires")


def _sentence(alert: Alert) -> str:
    told = alert.annotations
    kind = alert.labels.get("severity", "alert") if alert.state == "firing" else "not yet firing"
    return f"{told.get('summary', alert.name)} ({kind}, since {alert.since[:19]}Z; {told['runbook_url']})"


def _explained(annotations: dict[str, str]) -> bool:
    return annotations.get("runbook_url", "").startswith(RUNBOOK)


def _processes(prometheus: Prometheus, part: Part) -> int:
    return int(sum(one.value for one in prometheus.query(f"count(count by (instance, worker) ({part.told}))")))


def _by(samples: list[Sample], label: str) -> dict[str, float]:
    return {one.labels[label]: one.value for one in samples}
