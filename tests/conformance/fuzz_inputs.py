"""Fuzzes the readers: damaged SBML files and PEtab problems end in a result or a typed error, in time.

    python tests/conformance/fuzz_inputs.py --count 2000 --seed 0 DIR...

Each DIR is searched for SBML files and PEtab problems. Every mutant is read and computed (two time points of an SBML
model, the log-likelihood of a PEtab problem) in a worker process. The exit status is 1 if one ends in an error that is
none of ours, does not end in time, or takes its process with it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from twin.commands.tables import text_table
from twin.conformance.pool import Task, run_tasks
from twin.progress import progress

LIMIT = 20.0
LARGEST = 200_000
"""Bytes of a file that is damaged; the time limit is for small models."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the mutants, print the counts and every mutant that is a fault."""
    from mutants import Mutant

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--count", type=int, default=2000, help="mutants (2000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (0); to repeat a single one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds per mutant ({LIMIT:g})")
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one per core)")
    parser.add_argument("--read-only", action="store_true", help="only read, compute nothing")
    parser.add_argument("--log", type=Path, help="a table with a line per mutant")
    args = parser.parse_args(argv)
    sources = find_sources(args.folders)
    if not sources:
        parser.error("no SBML file and no PEtab problem is in these folders")
    numbers = range(args.first, args.first + args.count)
    mutants = [Mutant(n, args.seed, pick(sources, args.seed, n), not args.read_only) for n in numbers]
    tasks = [Task(str(mutant.number), mutant, args.limit) for mutant in mutants]
    counts: Counter[str] = Counter()
    faults, lines = [], []
    with progress(f"{len(tasks)} mutants", len(tasks)) as line:
        for done, outcome in enumerate(run_tasks("mutants:run", tasks, args.workers), start=1):
            known = {"timeout": "HANG", "died": "CRASH", "raised": "HARNESS"}
            kind, details = outcome.result or (known[outcome.fault], _about(outcome.task.argument, outcome.reason))
            counts[kind] += 1
            lines.append(f"{outcome.task.name}\t{kind}\t{outcome.seconds:.1f}\t{details}")
            if is_fault(kind):
                faults.append(f"mutant {outcome.task.name}: {kind}: {details}")
            line.update(done, f"{len(faults)} faults")
    if args.log:
        args.log.write_text("\n".join(["mutant\toutcome\tseconds\tdetails", *lines, ""]), encoding="utf-8")
    print(text_table(["mutants", "outcome"], [(str(n), kind) for kind, n in counts.most_common()], left=(1,)))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def is_fault(kind: str) -> bool:
    """Whether it is neither a result nor a typed error."""
    return kind in ("HANG", "CRASH", "HARNESS") or kind.endswith("(UNTYPED)")


def find_sources(folders: Sequence[Path]) -> list[Path]:
    """PEtab problems and SBML files; the models of PEtab problems are not counted for themselves."""
    problems, models = [], []
    for folder in folders:
        for place in sorted({folder, *(path for path in folder.rglob("*") if path.is_dir())}):
            yamls = [path for path in sorted(place.glob("*.yaml")) if "solution" not in path.name]
            yamls = [path for path in yamls if "parameter_file" in path.read_text(encoding="utf-8", errors="ignore")]
            problems += yamls
            if not yamls:
                models += sorted(place.glob("*.xml"))
    small = [model for model in models if model.stat().st_size <= LARGEST]
    return small + [p for p in problems if sum(f.stat().st_size for f in p.parent.iterdir()) <= LARGEST]


def pick(sources: Sequence[Path], seed: int, number: int) -> Path:
    """The source of a mutant: SBML and PEtab by turns, whatever their numbers."""
    petab = [path for path in sources if path.suffix == ".yaml"]
    sbml = [path for path in sources if path.suffix != ".yaml"]
    both = [group for group in (sbml, petab) if group]
    return Random(f"source {seed}/{number}").choice(both[number % len(both)])


def _about(mutant, reason: str) -> str:
    return f"{mutant.source.parent.name}/{mutant.source.name}: {reason}"


if __name__ == "__main__":
    sys.exit(main())
