"""JAX's cache of compiled programs on disk, so that the second run of a command does not compile again.

Only the program ``twin`` switches it on; importing the library changes nothing.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def compilation_cache() -> Iterator[Path | None]:
    """Use the cache inside the block and put JAX's settings back after it; yields its folder, None if there is none.

    Nothing is cached if ``CYTOTWIN_NO_CACHE`` is set (to anything but 0), or the folder cannot be written. A cache
    that the user has set up (``JAX_COMPILATION_CACHE_DIR``) is left as it is.
    """
    if os.environ.get(OPT_OUT, "0") not in ("", "0"):
        yield None
        return
    import jax
    from jax.experimental.compilation_cache import compilation_cache as programs

    if jax.config.jax_compilation_cache_dir:
        yield Path(jax.config.jax_compilation_cache_dir)
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        # A home that cannot be written is common on clusters; without a cache all still works.
        yield None
        return
    wanted: dict[str, object] = {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": SHORTEST_COMPILE,
    }
    if find_spec("filelock"):  # which JAX needs to keep a limit
        wanted["jax_compilation_cache_max_size"] = LARGEST_BYTES
    before = {name: getattr(jax.config, name) for name in wanted}
    _update(jax, wanted)
    # JAX looks at the settings once, at its first compilation.
    programs.reset_cache()
    try:
        yield folder
    finally:
        _update(jax, before)
        programs.reset_cache()


def _update(jax, settings: Mapping[str, object]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
