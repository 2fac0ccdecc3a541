"""JAX's cache of compiled programs on disk, so that the second run of a program does not compile again.

The first computation of a process switches it on; importing the library changes nothing.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

OPT_OUT = "CYTOTWIN_NO_CACHE"
LARGEST_BYTES = 2 * 2**30
SHORTEST_COMPILE = 0.3
"""Programs that compile faster than this [s] are not worth a file."""


def cache_folder(environ: Mapping[str, str] = os.environ, system: str = sys.platform) -> Path:
    """The user's folder for compiled programs, as the platform has it.

    ``$XDG_CACHE_HOME/cytotwin`` where that is set (to an absolute path, as its specification asks), else
    ``%LOCALAPPDATA%\\cytotwin\\Cache`` on Windows, ``~/Library/Caches/cytotwin`` on macOS and
    ``~/.cache/cytotwin`` elsewhere.
    """
    # Programs compiled for one processor may not run on another: a home shared by several kinds gets a folder for each.
    leaf = Path("compiled") / f"{system}-{platform.machine() or 'unknown'}"
    if (given := environ.get("XDG_CACHE_HOME")) and Path(given).is_absolute():
        return Path(given) / "cytotwin" / leaf
    if system == "win32":
        local = environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "cytotwin" / "Cache" / leaf
    if system == "darwin":
        return Path.home() / "Library" / "Caches" / "cytotwin" / leaf
    return Path.home() / ".cache" / "cytotwin" / leaf


@functools.cache
def keep_compiled_programs() -> Path | None:
    """Use the cache from now on, once per process; returns its folder, None if there is none.

    Nothing is cached if ``CYTOTWIN_NO_CACHE`` is set (to anything but 0), or the folder cannot be written. A cache
    that the user has set up (``JAX_COMPILATION_CACHE_DIR``) is left as it is.
    """
    if os.environ.get(OPT_OUT, "0") not in ("", "0"):
        return None
    import jax
    from jax.experimental.compilation_cache import compilation_cache as programs

    if jax.config.jax_compilation_cache_dir:
        return Path(jax.config.jax_compilation_cache_dir)
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        # A home that cannot be written is common on clusters; without a cache all still works.
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST_COMPILE)
    if find_spec("filelock"):  # which JAX needs to keep a limit
        jax.config.update("jax_compilation_cache_max_size", LARGEST_BYTES)
    # JAX looks at the settings once, at its first compilation.
    programs.reset_cache()
    return folder
