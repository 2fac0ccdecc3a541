"""One module per engine: `open_task` prepares what a task describes, `VERSION_OF` names the distribution measured.

Each is imported only in the worker process that measures it, so that a missing engine is a reason, not a failure.
"""
