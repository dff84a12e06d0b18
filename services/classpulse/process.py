"""What every process of the route does at its start: it stops on signals, and never outlives its supervisor."""

import ctypes
import os
import signal
import socket
import threading
from types import FrameType

PR_SET_PDEATHSIG = 1
LOOK_AGAIN_S = 0.5


def node() -> str:
    """The name of the host on which this process runs: in a cluster's pod the pod's, on Ray the one that a node is listed by."""
    return socket.gethostname()


class Stop(threading.Event):
    """Set by a signal; `number`: by which, the first one counts."""

    number = 0


def stop_on_signals(*more: signal.Signals) -> Stop:
    """An event that is set by SIGINT, SIGTERM, or one `more`. Called once, in the main thread.

    The event is set by a thread of its own: a handler that ran while the main thread held the event's lock would wait
    for it for ever.
    """
    stop = Stop()
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM, *more):
        signal.signal(number, _noted)
    threading.Thread(target=_pass_on, args=(reader, writer, stop), name="signals", daemon=True).start()
    return stop


def follow(parent_pid: int) -> None:
    """Die with the process `parent_pid`, however it dies; exit at once if it is no longer the parent.

    Linux's kernel sends the signal; elsewhere a thread looks twice a second.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch_parent, args=(parent_pid,), name="parent", daemon=True).start()
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def _noted(_number: int, _frame: FrameType | None) -> None:
    """Nothing: the wake-up socket has told the thread already."""


def _pass_on(reader: socket.socket, _writer: socket.socket, stop: Stop) -> None:
    """For as long as the process lives; holds the writer too, because the interpreter knows only its number."""
    while numbers := reader.recv(64):
        stop.number = stop.number or numbers[0]
        stop.set()


def _watch_parent(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        threading.Event().wait(LOOK_AGAIN_S)
    os.kill(os.getpid(), signal.SIGKILL)
