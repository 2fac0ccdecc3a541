"""Measures this package and its peers side by side, and writes one table per part.

    uv run --group peers python -m tests.benchmarks.peers ../shared/petab-benchmarks --out out/peers
        [--parts gradients,batch,jacobians,ensembles,compile] [--only NAME ...] [--engines NAME ...] [--core N]

Rows that are in the tables are not measured again unless --fresh is given. AMICI generates and compiles C++ (Debian
packages: swig libopenblas-dev libhdf5-serial-dev cmake g++); what it built is kept in the folder --build. An engine
that is not installed is listed as skipped. `tests.benchmarks.peers.report` makes tables and plots of the results.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from .engines.registry import ENGINES
from .machine import pin, write_description
from .parts.settings import Settings
from .petab_folder import petab_files
from .rounds import ROUNDS, Limits

PARTS = {
    "gradients": "gradients",
    "batch": "batch",
    "jacobians": "jacobians",
    "ensembles": "ensembles",
    "compile": "first_gradient",
}


def main() -> None:
    """Reads the arguments and runs the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of PEtab problems, one folder each")
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.add_argument("--parts", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--only", nargs="+", default=[], help="names of problems")
    parser.add_argument("--engines", nargs="+", default=[], choices=ENGINES, metavar="NAME", help=", ".join(ENGINES))
    parser.add_argument("--core", type=int, default=0, help="core that everything runs on (0); -1: all")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of measuring in turn ({ROUNDS})")
    parser.add_argument("--limit", type=float, default=Limits.run, help="most seconds of one run")
    parser.add_argument("--compile-limit", type=float, default=Limits.compile, help="most seconds to compile")
    parser.add_argument("--build", type=Path, default=Path.home() / ".cache/cytotwin/peers", help="AMICI's code")
    parser.add_argument("--tolerances", nargs="+", type=float, default=[], help="relative tolerances of ensembles")
    parser.add_argument("--max-steps", type=int, default=20_000, help="of this package on PEtab problems (20000)")
    parser.add_argument("--fresh", action="store_true", help="measure again what is in the tables")
    arguments = parser.parse_args()
    pin(arguments.core)
    out, build = arguments.out.resolve(), arguments.build.resolve()
    out.mkdir(parents=True, exist_ok=True)
    build.mkdir(parents=True, exist_ok=True)
    write_description(out / "machine.json")
    settings = Settings(
        problems=petab_files(arguments.folder.resolve(), arguments.only),
        out=out,
        build=build,
        engines=tuple(arguments.engines),
        only=tuple(arguments.only),
        limits=Limits(arguments.compile_limit, arguments.limit),
        rounds=arguments.rounds,
        fresh=arguments.fresh,
        tolerances=tuple(arguments.tolerances),
        max_steps=arguments.max_steps,
    )
    for part in arguments.parts.split(","):
        if part not in PARTS:
            parser.error(f"{part!r} is no part; there are {', '.join(PARTS)}")
        import_module(f"{__package__}.parts.{PARTS[part]}").measure(settings)


if __name__ == "__main__":
    main()
