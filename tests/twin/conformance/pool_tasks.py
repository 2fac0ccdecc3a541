"""What worker processes do in the tests of the pool."""

from __future__ import annotations

import os
import time


def act(what: str) -> str:
    """Return, hang, die, or raise."""
    if what == "hang":
        time.sleep(600)
    if what == "die":
        os._exit(3)
    if what == "raise":
        raise ValueError("on purpose")
    print("nobody sees this")
    return f"{what} in {os.getpid()}"
