"""A process that measures one engine: requests arrive as lines of JSON, answers leave the same way.

Whatever the libraries print goes to standard error, so that it cannot be mistaken for an answer.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from importlib import import_module, metadata
from typing import Any


def serve(module: str) -> None:
    """Answers requests {"do": "open" | "run" | "answer", "task": ...} until its input ends.

    Args:
        module: Name of the module of the engine, in `engines`.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    prepared: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "open":
                engine = import_module(f"{__package__}.engines.{module}")
                prepared = engine.open_task(request["task"])
                reply = {"compile_s": prepared.compile_s, "version": metadata.version(engine.DISTRIBUTION)}
            elif request["do"] == "run":
                reply = prepared.run()
            else:
                reply = prepared.answer()
        except Exception as error:
            traceback.print_exc()
            reply = {"failed": f"{type(error).__name__}: {str(error).strip() or 'no message'}"[:400]}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
