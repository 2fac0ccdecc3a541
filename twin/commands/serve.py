"""``twin serve``: a model, a calibrated twin, or finished scenarios as a local web page."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twin.commands.command import Command
from twin.commands.dosing import add_experiment_options, experiment_from, is_plain
from twin.errors import ScenarioError, TwinError

if TYPE_CHECKING:
    from twin.model.model import Model
    from twin.web.served import Served
    from twin.web.server import Serving
    from twin.web.store.server import ServingStores

PORT, PATIENTS, MOST_PATIENTS = 5077, 1000, 8000
LOOPBACK = "127.0.0.1"


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin serve``."""
    parser.add_argument(
        "source",
        nargs="+",
        metavar="MODEL|POSTERIOR.nc|STORE",
        help="a model of the library, a file (.xml, .ant), a posterior, or folders of finished scenarios",
    )
    parser.add_argument("--model", metavar="MODEL", help="the model of a posterior that is not in the library")
    parser.add_argument("--folder", metavar="DIR", help="where gap reports are (default: the posterior's folder)")
    parser.add_argument("--until", type=float, metavar="TIME", help="last time (default: a little after the readings)")
    parser.add_argument(
        "--patients", type=int, default=PATIENTS, metavar="N", help=f"virtual patients, most draws (default {PATIENTS})"
    )
    where = parser.add_argument_group("where it is served")
    where.add_argument("--port", type=int, default=PORT, metavar="N", help=f"port, 0 for any (default {PORT})")
    where.add_argument(
        "--host", default=LOOPBACK, metavar="ADDRESS", help="address; another than this machine's own asks for a token"
    )
    where.add_argument(
        "--origin", action="append", default=[], metavar="NAME:PORT", help="a name that a tunnel or proxy goes by"
    )
    add_experiment_options(parser)


def run(args: Namespace) -> int:
    """Serve until it is interrupted."""
    if _are_stores(args.source):
        return _serve_stores(args)
    if len(args.source) > 1:
        found = f"{len(args.source)} sources"
        raise TwinError(
            found, where="twin serve", expected="one model, one posterior, or folders of finished scenarios"
        )
    args.source = args.source[0]
    if not 1 <= args.patients <= MOST_PATIENTS:
        raise TwinError(f"{args.patients} patients", where="--patients", expected=f"1 to {MOST_PATIENTS}")
    from twin.web.security import Folder
    from twin.web.server import Serving, check_installed

    check_installed()
    served = _served(args)
    place = args.folder or (str(Path(args.source).parent) if served.posterior is not None else None)
    serving = Serving(served, Folder(Path(place)) if place else None, args.host, args.port, args.origin)
    print(f"{served.model.name}: {served.title}")
    print(f"first picture in {serving.warm():.1f} s; the page is at\n", flush=True)
    return _until_interrupted(serving)


def _until_interrupted(serving: Serving | ServingStores) -> int:
    """Say where it is, and serve."""
    print(f"  {serving.link}\n", flush=True)
    if serving.token is not None:
        print("Whoever has this link can see the page. It is not encrypted: see docs/serve.md.")
    print("Ctrl-C ends it.", flush=True)
    serving.run()
    return 0


def _are_stores(sources: Sequence[str]) -> bool:
    """Whether folders are named; a model of the library may bear the name of a folder that holds no scenario.

    Raises:
        ScenarioError: Some are stores, and some are not.
    """
    from twin.scenario.journal import HEADER
    from twin.scenario.store import FOLDER

    stores = [Path(source).name == FOLDER or (Path(source) / HEADER).is_file() for source in sources]
    if any(stores) and not all(stores):
        other = sources[stores.index(False)]
        raise ScenarioError("no scenario was run into it", where=other, fix="name folders of finished scenarios alone")
    return all(stores)


def _serve_stores(args: Namespace) -> int:
    """Finished scenarios, which are read and never changed."""
    from twin.web.security import Folder
    from twin.web.store.server import ServingStores, check_installed

    given = {"--model": args.model, "--until": args.until, "a dose or change": not is_plain(args) or None}
    for name, value in {**given, "--patients": args.patients if args.patients != PATIENTS else None}.items():
        if value is not None:
            raise TwinError(f"{name} says nothing of a finished scenario", where="twin serve", fix="leave it out")
    check_installed()
    from twin.web.store.runs import Runs

    runs = Runs([Path(source) for source in args.source])
    serving = ServingStores(runs, Folder(Path(args.folder)) if args.folder else None, args.host, args.port, args.origin)
    serving.warm()
    for run in runs:
        print(f"{run.label}: {run.attrs['model']}, {run.patients:,} patients, {len(run.arms)} arms")
    print("the page is at\n", flush=True)
    return _until_interrupted(serving)


def _served(args: Namespace) -> Served:
    from twin.web.served import serve_model, serve_posterior

    given = None if is_plain(args) else experiment_from(args)
    path = Path(args.source)
    if path.suffix.lower() == ".nc":
        model = _model(args.model) if args.model else None
        return serve_posterior(path, model, until=args.until, patients=args.patients, given=given)
    if args.model:
        raise TwinError(f"{args.source!r} is no posterior", where="--model", fix="leave it out")
    return serve_model(_model(args.source), until=args.until, patients=args.patients, given=given)


def _model(text: str) -> Model:
    path = Path(text)
    if path.suffix.lower() in (".xml", ".sbml"):
        from twin.exchange.sbml import read_sbml

        return read_sbml(path)
    if path.suffix.lower() == ".ant":
        from twin.exchange.antimony import read_antimony

        return read_antimony(path.read_text(encoding="utf-8"))
    from twin import library

    return library.load_model(text)


serve = Command(
    name="serve",
    summary="show a model, a calibrated twin or finished scenarios as a local web page",
    configure=configure,
    run=run,
    description="""\
Show a model or a calibrated twin as a web page on this machine: sliders for doses and parameters, live curves,
endpoints, scenarios side by side, readings on top. Or finished scenarios: courses, endpoints, arms compared, files.
Needs the extra 'web', and for scenarios 'cohort'.

  twin serve theophylline
  twin serve results/posterior.nc
  twin serve antiviral antiviral_late
  twin serve model.xml --until 100 --dose 'gut=4@0x6/12'""",
)
