"""The worker's side of `twin.conformance.pool`: imports a function, then answers one task after the other."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import warnings
from multiprocessing.connection import Connection

MOST_MEMORY = 12 * 2**30
"""Bytes of private memory; a case that asks for more gets a `MemoryError`, not the machine."""


def work(target: str, connection: Connection) -> None:
    """Answer tasks until the pipe is closed.

    Sends ``("ready",)`` or ``("broken", reason)`` once, then per task ``("result", value, memory)`` or
    ``("raised", error, memory)``, where memory is the largest this process has had [bytes].

    Args:
        target: The function, as ``package.module:function``.
        connection: Tasks come in, answers go out.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    _silence()
    _limit_memory()
    try:
        module, _, name = target.partition(":")
        function = getattr(importlib.import_module(module), name)
    except Exception as error:  # said where it can be seen
        connection.send(("broken", f"{type(error).__name__}: {error}"))
        return
    warnings.simplefilter("ignore")
    connection.send(("ready",))
    while True:
        try:
            argument = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer = ("result", function(argument), _memory())
        except Exception as error:  # the function was to return; that it did not is its result
            answer = ("raised", f"{type(error).__name__}: {error}", _memory())
        connection.send(answer)


def _silence() -> None:
    """Send what libraries print, also below Python, nowhere: it would tear the line of progress."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            os.dup2(null, stream.fileno())
    os.close(null)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _memory() -> int:
    """The largest this process has been [bytes].

    ``ru_maxrss`` of Linux survives ``exec``: a worker would start with the size of the process that spawned it. The
    high-water mark of ``/proc`` belongs to the program that runs now.
    """
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return 0
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024
