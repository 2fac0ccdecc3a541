"""``twin serve``: a model or a calibrated twin as a local web page."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from twin.commands.command import Command
from twin.commands.dosing import add_experiment_options, experiment_from, is_plain
from twin.errors import TwinError

if TYPE_CHECKING:
    from twin.model.model import Model
    from twin.web.served import Served

PORT, PATIENTS, MOST_PATIENTS = 5077, 1000, 8000
LOOPBACK = "127.0.0.1"


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin serve``."""
    parser.add_argument(
        "source", metavar="MODEL|POSTERIOR.nc", help="a model of the library, a file (.xml, .ant), or a posterior"
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
    if not 1 <= args.patients <= MOST_PATIENTS:
        raise TwinError(f"{args.patients} patients", where="--patients", expected=f"1 to {MOST_PATIENTS}")
    from twin.web.security import Folder
    from twin.web.server import Serving, check_installed

    check_installed()
    served = _served(args)
    place = args.folder or (str(Path(args.source).parent) if served.posterior is not None else None)
    serving = Serving(served, Folder(Path(place)) if place else None, args.host, args.port, args.origin)
    print(f"{served.model.name}: {served.title}")
    print(f"first picture in {serving.warm():.1f} s; the page is at\n\n  {serving.link}\n", flush=True)
    if serving.token is not None:
        print("Whoever has this link can see the page. It is not encrypted: see docs/serve.md.")
    print("Ctrl-C ends it.", flush=True)
    serving.run()
    return 0


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
    summary="show a model or a calibrated twin as a local web page",
    configure=configure,
    run=run,
    description="""\
Show a model or a calibrated twin as a web page on this machine: sliders for doses and parameters, live curves,
endpoints, scenarios side by side, readings on top. Needs the extra 'web'.

  twin serve theophylline
  twin serve results/posterior.nc
  twin serve model.xml --until 100 --dose 'gut=4@0x6/12'""",
)
