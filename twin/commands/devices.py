"""Every core a device of its own, so that the chains of a sampler run on all of them.

XLA gains nothing from several threads on the small arrays of a few chains; several devices with a share of the chains
each gain almost the number of cores. Only the program ``twin`` asks for it; importing the library changes nothing.
"""

from __future__ import annotations

import os

MOST_DEVICES = 8


def one_device_per_core() -> int:
    """Ask JAX for one CPU device per core.

    Returns:
        How many were asked for; 0 if JAX had started, was told otherwise by the environment, or there is one core.
    """
    import jax

    told = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    told = told or "JAX_NUM_CPU_DEVICES" in os.environ
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min(available, MOST_DEVICES)
    if told or cores < 2:
        return 0
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:  # JAX has started: the number of devices is settled
        return 0
    return cores
