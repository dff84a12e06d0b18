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


def stop_on_signals() -> threading.Event:
    """An event that is set by SIGINT or SIGTERM. Called once, in the main thread.

    The event is set by a thread of its own: a handler that ran while the main thread held the event's lock would wait
    for it for ever.
    """
    stop = threading.Event()
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
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


def _pass_on(reader: socket.socket, _writer: socket.socket, stop: threading.Event) -> None:
    """For as long as the process lives; holds the writer too, because the interpreter knows only its number."""
    while reader.recv(64):
        stop.set()


def _watch_parent(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        threading.Event().wait(LOOK_AGAIN_S)
    os.kill(os.getpid(), signal.SIGKILL)
