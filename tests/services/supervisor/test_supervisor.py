"""Stage processes are started, started again, given up for a reason, stopped in time, and never outlive their supervisor."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from classpulse import child as child_module
from classpulse.bus.memory import MemoryBus
from classpulse.child import VIEW_FILE
from classpulse.clock import SystemClock
from classpulse.codec import encode
from classpulse.errors import BadInput
from classpulse.files import put
from classpulse.process import node
from classpulse.records import Heartbeat
from classpulse.settings import Settings
from classpulse.supervisor import STAGES, Supervisor, hold, own_port, prepare_bus
from classpulse.topics import FRAMES
from tests.services.supervisor.run_supervisor import FAKE
from tests.services.supervisor.running import PATIENCE_MS, Running, alive, pids, wait_until
from tests.support import Shown

RUNNER = Path(__file__).with_name("run_supervisor.py")


def test_every_stage_is_a_process_and_ends_when_told(make: Callable[..., Running], tmp_path: Path) -> None:
    running = make(detect_workers=2)
    wait_until(lambda: running.all_running() and len(pids(tmp_path, "detect")) == 2)
    assert len({*pids(tmp_path, "ingest"), *pids(tmp_path, "detect"), *pids(tmp_path, "aggregate")}) == 4
    running.stop.set()
    running.join()
    assert all((tmp_path / f"{stage}.stopped").exists() for stage in STAGES)


def fleet_view(*assigned: int | None) -> str:
    """Two workers are wanted; so many partitions each of those has that are there. None: it has not told how it is."""
    slots = [{"health": None if share is None else {"assigned": share}} for share in assigned]
    return json.dumps({"slots": slots, "wanted": 2})


def test_nothing_is_captured_before_the_workers_of_the_fleet_have_their_share(
    make: Callable[..., Running], tmp_path: Path
) -> None:
    put(tmp_path / VIEW_FILE, fleet_view(12, 12))  # an earlier fleet's
    running = make(bus=MemoryBus(), url="kafka://127.0.0.1:1", runner="ray")
    wait_until(lambda: pids(tmp_path, "fleet") and pids(tmp_path, "aggregate"))
    wait_until(lambda: running.supervisor.children[1].running and running.supervisor.children[2].settled)
    for too_early in ((), (24,), (24, None), (24, 0)):
        put(tmp_path / VIEW_FILE, fleet_view(*too_early))
        assert not running.supervisor._fleet_looks()
    assert pids(tmp_path, "ingest") == pids(tmp_path, "detect") == []

    put(tmp_path / VIEW_FILE, fleet_view(12, 12))
    wait_until(lambda: pids(tmp_path, "ingest"))
    assert [child.restarts for child in running.supervisor.children] == [0, 0, 0]


def test_a_fleet_needs_a_broker(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"runner = 'ray': bus = 'sqlite://.*': the workers share a broker; expected kafka://"
    ):
        Running(tmp_path, MemoryBus(), runner="ray")


def test_a_canary_is_kept_beside_the_stages_where_one_is_wanted(make: Callable[..., Running], tmp_path: Path) -> None:
    running = make(canary=True, metrics_port=9100)
    wait_until(lambda: running.all_running() and pids(tmp_path, "canary"))
    os.kill(pids(tmp_path, "canary")[0], signal.SIGKILL)
    wait_until(lambda: len(pids(tmp_path, "canary")) == 2)
    assert [child.copy.name for child in running.supervisor.children] == [*STAGES, "canary"]
    assert "'CLASSPULSE_METRICS_PORT': '9103'" in (tmp_path / "canary.env").read_text()


def test_a_school_that_forwards_has_no_canary(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="canary = true: district = 'kafka://h:1': its events are made there; expected"):
        Running(tmp_path, MemoryBus(), canary=True, district="kafka://h:1")


def test_it_ends_when_all_is_said(make: Callable[..., Running], tmp_path: Path) -> None:
    running = make()
    wait_until(running.all_running)
    running.ended.set()
    running.join()
    assert not any(alive(pid) for stage in STAGES for pid in pids(tmp_path, stage))


def test_a_dead_stage_is_started_again_and_that_is_said(
    make: Callable[..., Running], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "classpulse"):
        running = make()
        wait_until(running.all_running)
        os.kill(pids(tmp_path, "detect")[0], signal.SIGKILL)
        wait_until(lambda: len(pids(tmp_path, "detect")) == 2)
    assert "ended with signal SIGKILL after" in caplog.text
    assert "starting again in 250 ms" in caplog.text
    assert len(pids(tmp_path, "ingest")) == 1


def test_waiting_doubles_for_a_stage_that_makes_no_progress(
    make: Callable[..., Running], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "aggregate.does").write_text("crash")
    with caplog.at_level(logging.WARNING, "classpulse"):
        make()
        wait_until(lambda: len(pids(tmp_path, "aggregate")) == 4)
    waits = [
        record.args[-1]
        for record in caplog.records
        if isinstance(record.args, tuple) and "starting again" in record.msg
    ]
    assert waits[:3] == [250, 500, 1000]


class FakeClock(SystemClock):
    """The machine's clock, moved on by hand: a long life of a process need not be lived."""

    ahead_ms = 0

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() + self.ahead_ms


def noticed(child: child_module.Child) -> bool:
    child.watch()
    return not child.running


@pytest.mark.parametrize(
    ("progress", "lived_ms", "wait_ms"),
    [(1, child_module.PROGRESS_MS, 250), (0, child_module.PROGRESS_MS, 500), (1, 0, 500)],
)
def test_waiting_begins_anew_only_after_a_while_with_progress(
    tmp_path: Path, progress: int, lived_ms: int, wait_ms: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock, done = FakeClock(), [0]
    environ = {**os.environ, "CLASSPULSE_DATA": str(tmp_path)}
    copy = child_module.Copy("detect", 0, 1)
    child = child_module.Child(copy, FAKE, environ, clock, lambda _: done[0])
    for life in (1, 2):
        child.start()
        wait_until(lambda life=life: len(pids(tmp_path, "detect")) == life)  # type: ignore[misc]
        clock.ahead_ms += lived_ms
        done[0] += progress
        os.kill(pids(tmp_path, "detect")[-1], signal.SIGKILL)
        wait_until(lambda: noticed(child))
    waits = [r.args[-1] for r in caplog.records if isinstance(r.args, tuple) and "starting again" in r.msg]
    assert waits == [250, wait_ms]


def test_a_stage_that_refuses_its_input_is_given_up_with_its_reason(
    make: Callable[..., Running], tmp_path: Path
) -> None:
    (tmp_path / "detect.does").write_text("refuse")
    running = make()
    running.join()
    assert running.error is not None
    assert running.error.faults == (
        "detect: exit code 2 3 times in a row; not started again, because:",
        "model = 'x': digest expected aa, found bb",
    )
    assert len(pids(tmp_path, "detect")) == 3
    assert not any(alive(pid) for stage in STAGES for pid in pids(tmp_path, stage))
    assert running.settled == 0


def test_that_all_stages_run_is_told_once_and_not_before_a_wrong_setting_would_have_shown(
    make: Callable[..., Running],
) -> None:
    running, clock = make(), SystemClock()
    wait_until(running.all_running)
    clock.sleep_ms(500)
    assert running.settled == 0
    wait_until(lambda: running.settled)
    clock.sleep_ms(500)
    assert running.settled == 1


def test_a_stage_that_had_committed_something_is_started_again_whatever_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "detect.does").write_text("refuse")
    done = [0]

    def committed(_: child_module.Copy) -> int:
        done[0] += 1
        return done[0]

    environ = {**os.environ, "CLASSPULSE_DATA": str(tmp_path)}
    clock = FakeClock()
    child = child_module.Child(child_module.Copy("detect", 0, 1), FAKE, environ, clock, committed)
    for _ in range(child_module.REFUSALS + 1):
        child.start()
        wait_until(lambda: noticed(child))
    assert len(pids(tmp_path, "detect")) == child_module.REFUSALS + 1


def test_a_stage_that_does_not_stop_is_killed_within_five_seconds(make: Callable[..., Running], tmp_path: Path) -> None:
    (tmp_path / "ingest.does").write_text("deaf")
    running = make()
    wait_until(running.all_running)
    began_ms = SystemClock().monotonic_ms()
    running.stop.set()
    running.join()
    assert SystemClock().monotonic_ms() - began_ms < 5_000
    assert not any(alive(pid) for pid in pids(tmp_path, "ingest"))


def test_the_status_file_names_the_processes(make: Callable[..., Running], tmp_path: Path) -> None:
    running = make(detect_workers=2)
    wait_until(running.all_running)
    os.kill(pids(tmp_path, "aggregate")[0], signal.SIGKILL)
    wait_until(lambda: len(pids(tmp_path, "aggregate")) == 2)

    def told() -> bool:
        if not (tmp_path / "status.json").exists():
            return False
        stages = {stage["name"]: stage for stage in json.loads((tmp_path / "status.json").read_text())["stages"]}
        return (
            list(stages) == ["ingest", "detect-0", "detect-1", "aggregate"]
            and stages["aggregate"]["pid"] == pids(tmp_path, "aggregate")[-1]
            and (stages["aggregate"]["restarts"], stages["aggregate"]["last_exit"]) == (1, -9)
        )

    wait_until(told)


def test_an_armed_fault_stays_armed_in_every_process_that_follows(make: Callable[..., Running], tmp_path: Path) -> None:
    running = make(fault="detect/stage.polled:3")
    wait_until(running.all_running)
    os.kill(pids(tmp_path, "detect")[0], signal.SIGKILL)
    wait_until(
        lambda: (
            len(pids(tmp_path, "detect")) == 2
            and "'CLASSPULSE_FAULT': 'detect/stage.polled:3'" in (tmp_path / "detect.env").read_text()
        )
    )


def test_each_process_has_a_metrics_port_of_its_own(make: Callable[..., Running], tmp_path: Path) -> None:
    make(metrics_port=9100)

    def told(stage: str, port: int) -> bool:
        path = tmp_path / f"{stage}.env"
        return path.exists() and f"'CLASSPULSE_METRICS_PORT': '{port}'" in path.read_text()

    wait_until(lambda: all(told(stage, 9100 + number) for number, stage in enumerate(STAGES)))


def test_the_supervisors_own_port_is_behind_those_of_its_processes(tmp_path: Path) -> None:
    assert own_port(Settings(data=tmp_path)) == 0
    assert own_port(Settings(data=tmp_path, metrics_port=9100)) == 9103
    assert own_port(Settings(data=tmp_path, metrics_port=9100, detect_workers=3, canary=True)) == 9106


def test_a_process_that_ended_unasked_is_counted_when_it_is_started_again(
    make: Callable[..., Running], tmp_path: Path
) -> None:
    def restarts(process: str) -> float | None:
        return running.metrics.value("worker_restarts_total", node=node(), process=process)

    running = make(detect_workers=2)
    wait_until(lambda: running.all_running() and pids(tmp_path, "aggregate"))
    assert [restarts(name) for name in ("ingest", "detect-0", "detect-1", "aggregate")] == [0, 0, 0, 0]
    os.kill(pids(tmp_path, "aggregate")[0], signal.SIGKILL)
    wait_until(lambda: restarts("aggregate") == 1)
    assert [restarts(name) for name in ("ingest", "detect-0", "detect-1")] == [0, 0, 0]


def test_it_is_ready_when_all_its_processes_are_and_comes_round_all_the_time(
    make: Callable[..., Running], tmp_path: Path
) -> None:
    running = make()
    supervisor, begun_ms = running.supervisor, running.supervisor.turned_ms
    assert supervisor.missing().startswith("up: not at work: ingest, detect, aggregate; expected every process to run")
    wait_until(lambda: supervisor.missing() == "")
    assert supervisor.turned_ms > begun_ms
    os.kill(pids(tmp_path, "detect")[0], signal.SIGKILL)
    wait_until(lambda: "detect" in supervisor.missing())


def test_a_bus_that_processes_cannot_share_is_refused(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, bus="memory://")
    with pytest.raises(BadInput, match="bus = 'memory://': processes cannot share it; expected sqlite://PATH"):
        Supervisor(settings, MemoryBus(), SystemClock(), command=FAKE, environ={}, metrics=Shown())


@pytest.mark.parametrize(
    ("district", "said"),
    [("memory://", "another place"), ("http://x", "^district = 'http://x': unknown scheme 'http'")],
)
def test_a_district_that_can_never_be_reached_is_refused_before_anything_is_started(
    tmp_path: Path, district: str, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        Supervisor(
            Settings(data=tmp_path, district=district),
            MemoryBus(),
            SystemClock(),
            command=FAKE,
            environ={},
            metrics=Shown(),
        )


def test_a_second_supervisor_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    with (
        hold(tmp_path, "classpulse up a.toml"),
        pytest.raises(
            BadInput, match=rf"data = .*: held by pid {os.getpid()} \(classpulse up a.toml\); expected a data"
        ),
        hold(tmp_path, "classpulse up b.toml"),
    ):
        pass


def test_the_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with hold(tmp_path / "new" / "folder", "classpulse up"):
            pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(BadInput, match=r"data = .*: .*; expected a folder that can be written"),
        hold(tmp_path / "file", "up"),
    ):
        pass


@contextmanager
def supervise(data: Path, *settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, str(RUNNER), str(data), *settings], env=environ())
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def everyone(data: Path) -> list[int]:
    return [pid for stage in STAGES for pid in pids(data, stage)]


def test_ctrl_c_stops_everything_within_five_seconds(tmp_path: Path) -> None:
    with supervise(tmp_path) as process:
        wait_until(lambda: len(everyone(tmp_path)) == 3)
        assert all(os.getpgid(pid) == pid for pid in everyone(tmp_path)), (
            "a terminal's Ctrl-C would reach the stages too"
        )
        began_ms = SystemClock().monotonic_ms()
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
        assert SystemClock().monotonic_ms() - began_ms < 5_000
    assert not any(map(alive, everyone(tmp_path)))
    assert all((tmp_path / f"{stage}.stopped").exists() for stage in STAGES)


def test_the_stages_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    with supervise(tmp_path) as process:
        wait_until(lambda: len(everyone(tmp_path)) == 3)
        process.kill()
        process.wait(5)
    wait_until(lambda: not any(map(alive, everyone(tmp_path))), within_ms=2_000)
    assert not any((tmp_path / f"{stage}.stopped").exists() for stage in STAGES)


@pytest.mark.parametrize("point", ["supervisor.stage_started:2", "supervisor.watching:3"])
def test_a_kill_at_a_fault_point_leaves_no_stage_and_no_lock_behind(tmp_path: Path, point: str) -> None:
    with supervise(tmp_path, f"CLASSPULSE_FAULT={point}") as process:
        assert process.wait(PATIENCE_MS / 1000) == -signal.SIGKILL
    wait_until(lambda: not any(map(alive, everyone(tmp_path))), within_ms=2_000)
    with hold(tmp_path, "the next one"):
        pass


def test_progress_is_what_a_copy_has_committed(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    bus = prepare_bus(settings)
    supervisor = Supervisor(settings, bus, SystemClock(), command=FAKE, environ={}, metrics=Shown())
    ingest, detect, _ = supervisor.children
    before = supervisor._committed(ingest.copy), supervisor._committed(detect.copy)
    beat = Heartbeat(camera="t/s/r/c", epoch=1, last_sequence=-1, at_ms=0, state="up")
    bus.member("x", ()).commit([encode(beat, topic=FRAMES, at_ms=0)], {})
    member = bus.member("detect", [FRAMES])
    (place,) = {(r.topic, r.partition) for r in member.poll(max_records=9, max_bytes=999, timeout_ms=1_000)}
    after_publish = supervisor._committed(ingest.copy), supervisor._committed(detect.copy)
    member.commit([], {p: 1 for p in member.assignment() if tuple(p) == place})
    after_commit = supervisor._committed(ingest.copy), supervisor._committed(detect.copy)
    bus.close()
    assert (before, after_publish, after_commit) == ((0, 0), (1, 0), (1, 1))
