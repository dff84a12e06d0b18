"""A supervisor of fake stages as a process of its own, so that it can be killed: DATA, then settings as KEY=VALUE."""

import os
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry

from classpulse.clock import SystemClock
from classpulse.faults import arm, faults_of
from classpulse.process import stop_on_signals
from classpulse.settings import Settings
from classpulse.supervisor import Supervisor, hold, prepare_bus
from classpulse.telemetry import Metrics, OnRegistry

FAKE = (sys.executable, str(Path(__file__).with_name("fake_stage.py")))


def main() -> None:
    settings = Settings.from_env({"CLASSPULSE_DATA": sys.argv[1], **dict(pair.split("=", 1) for pair in sys.argv[2:])})
    if spec := faults_of("supervisor", settings.fault):
        arm(spec)
    stop = stop_on_signals()
    with hold(settings.data, "run_supervisor"):
        bus = prepare_bus(settings)
        metrics = Metrics(OnRegistry(CollectorRegistry()))
        Supervisor(settings, bus, SystemClock(), command=FAKE, environ=os.environ, metrics=metrics).run(stop)
        bus.close()


if __name__ == "__main__":
    main()
