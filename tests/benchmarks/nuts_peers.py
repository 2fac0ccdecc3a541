"""NUTS of this package beside NumPyro's with diffrax: effective draws per second, one after the other on one core.

    taskset -c 0 python -m tests.benchmarks.nuts_peers --out FOLDER [--only influenza|stat5] [--peer-draws 500]

Same mechanism (typed again by hand for diffrax), priors, bounds, readings, noise, tolerances (rtol 1e-6, atol 1e-8) and
number of chains. The log-densities of both are compared before anything is timed. What is reported is ArviZ's bulk
effective size, least of all parameters, over seconds: of drawing alone, and of everything from the problem to the
draws (our multi-start fit and all compilations included). Seconds are processor seconds of the whole process, which is
held to one core, so that other work on the machine counts less. Means of both posteriors have to agree within
Monte-Carlo error. Influenza runs diffrax's Tsit5, the stiff STAT5 model its Kvaerno5. NumPyro runs its chains one
after the other, its faster way on one core. Needs numpyro (`pip install numpyro`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

# One thread, so that both do the same with one core.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax
import numpy as np

from tests.benchmarks.stopwatch import markdown, write_tsv

RTOL, ATOL = 1e-6, 1e-8
CHAINS, WARMUP, DRAWS = 4, 500, 500


class Peer(NamedTuple):
    """A mechanism typed by hand.

    Args:
        solver: Name of diffrax's solver.
        rhs: dy/dt of (t, y, p).
        start: State at time 0 of p.
        outputs: Predictions of (y [time, state], p) by observable.
        spread: Standard deviation of each observable, a name of p.
    """

    solver: str
    rhs: Callable[..., Any]
    start: Callable[..., Any]
    outputs: Callable[..., Any]
    spread: dict[str, str]


def influenza() -> tuple[Any, Peer]:
    """Volunteer 1 of Baccam 2006."""
    import jax.numpy as jnp

    def rhs(t, y, p):
        cells, eclipse, infected, virus = y
        infection = p["beta"] * cells * virus
        return jnp.stack(
            [
                -infection,
                infection - p["k"] * eclipse,
                p["k"] * eclipse - p["delta"] * infected,
                p["p"] * infected - p["c"] * virus,
            ]
        )

    peer = Peer(
        "Tsit5",
        rhs,
        lambda p: jnp.stack([p["T0"], 0.0 * p["V0"], 0.0 * p["V0"], p["V0"]]),
        lambda y, p: {"log10_titre": jnp.log10(y[:, 3] + p["V_guard"])},
        {"log10_titre": "sd_log10"},
    )
    return _shared("influenza_baccam2006", "1"), peer


def stat5() -> tuple[Any, Peer]:
    """Boehm 2014."""
    import jax.numpy as jnp

    def rhs(t, y, p):
        a, b, ab, aa, bb, naa, nab, nbb = y
        speed = p["k_phos"] * p["Epo_0"] * jnp.exp(-p["Epo_degradation_BaF3"] * t)
        daa, dab, dbb = speed * a * a, speed * a * b, speed * b * b
        iaa, iab, ibb = p["k_imp_homo"] * aa, p["k_imp_hetero"] * ab, p["k_imp_homo"] * bb
        eaa, eab, ebb = p["k_exp_homo"] * naa, p["k_exp_hetero"] * nab, p["k_exp_homo"] * nbb
        into, out = p["cyt"] / p["nuc"], p["nuc"] / p["cyt"]
        return jnp.stack(
            [
                -2 * daa - dab + out * (2 * eaa + eab),
                -2 * dbb - dab + out * (2 * ebb + eab),
                dab - iab,
                daa - iaa,
                dbb - ibb,
                into * iaa - eaa,
                into * iab - eab,
                into * ibb - ebb,
            ]
        )

    def start(p):
        total, ratio = p["STAT5_total"], p["ratio"]
        return jnp.concatenate([jnp.stack([total * ratio, total * (1 - ratio)]), jnp.zeros(6)])

    def outputs(y, p):
        a, b, ab, aa, bb = (y[:, i] for i in range(5))
        share = p["specC17"]
        seen_a, seen_b = ab + share * (a + 2 * aa), ab + (1 - share) * (b + 2 * bb)
        return {
            "pSTAT5A_rel": 100 * (ab + 2 * share * aa) / seen_a,
            "pSTAT5B_rel": 100 * (ab + 2 * (1 - share) * bb) / seen_b,
            "rSTAT5A_rel": 100 * seen_a / (seen_a + seen_b),
        }

    names = ("pSTAT5A_rel", "pSTAT5B_rel", "rSTAT5A_rel")
    return _shared("stat5_boehm2014", None), Peer("Kvaerno5", rhs, start, outputs, {n: f"sd_{n}" for n in names})


MODELS = {"influenza": influenza, "stat5": stat5}


def _shared(study: str, subject: str | None):
    from dataclasses import replace

    from calibration import Problem
    from twin import library

    described = library.study(study)
    table = library.dataset(described.dataset).load()
    if subject is not None:
        table = table[table["subject"].astype(str) == subject].reset_index(drop=True)
    return Problem(
        library.load_model(described.model),
        table,
        tuple(replace(each, per="shared", between=None) for each in described.estimates),
        described.noise,
        experiments=described.experiments,
        fixed=described.fixed,
        name=study,
        rtol=RTOL,
        atol=ATOL,
    )


def numpyro_model(problem: Any, peer: Peer) -> tuple[Callable, Callable]:
    """The model for NumPyro, and its log posterior of a vector for comparison."""
    import diffrax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    table = problem.bindings
    times, place = np.unique(table.times[table.sample, table.lane], return_inverse=True)
    constants = {**problem.model.default_parameters, **problem.fixed}
    solver = getattr(diffrax, peer.solver)()
    control = diffrax.PIDController(rtol=RTOL, atol=ATOL)
    families = {
        "normal": lambda prior, e: dist.TruncatedNormal(prior.location, prior.scale, low=e.lower, high=e.upper),
        "student_t": lambda prior, e: dist.TruncatedDistribution(
            dist.StudentT(4.0, prior.location, prior.scale), low=e.lower, high=e.upper
        ),
    }
    entries = problem.parameters.entries
    priors = [families[entry.prior.family](entry.prior, entry) for entry in entries]

    def log_likelihood(theta):
        free = {e.name: (10.0**x if e.scale == "log10" else x) for e, x in zip(entries, theta, strict=True)}
        p = {name: jnp.asarray(free.get(name, value)) for name, value in {**constants, **free}.items()}
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(peer.rhs), solver, 0.0, times[-1], None, peer.start(p), p,
            saveat=diffrax.SaveAt(ts=times), stepsize_controller=control, max_steps=4096, throw=False,
        )  # fmt: skip
        predicted = peer.outputs(solution.ys, p)
        total = jnp.zeros(())
        for name, rows in table.rows_of.items():
            normal = dist.Normal(predicted[name][place[rows]], p[peer.spread[name]])
            value = table.value[rows]
            below = jax.scipy.stats.norm.logcdf(value, normal.loc, normal.scale)
            total += jnp.sum(jnp.where(table.censored[rows], below, normal.log_prob(value)))
        failed = (solution.result != diffrax.RESULTS.successful) | ~jnp.isfinite(total)
        return jnp.where(failed, -jnp.inf, total)

    def model():
        theta = jnp.stack([numpyro.sample(e.name, prior) for e, prior in zip(entries, priors, strict=True)])
        numpyro.factor("readings", log_likelihood(theta))

    def log_posterior(theta):
        return log_likelihood(theta) + sum(prior.log_prob(x) for prior, x in zip(priors, theta, strict=True))

    return model, log_posterior


def run_ours(problem: Any) -> dict[str, Any]:
    """Fit and sample, from nothing compiled; drawing is timed in a second run, when everything is compiled."""
    from calibration import fit, sample

    begin = time.process_time()
    best = fit(problem, starts=24, seed=0, quiet=True)
    sample(problem, seed=0, chains=CHAINS, warmup=WARMUP, draws=DRAWS, initial=best, predictive=False, quiet=True)
    everything = time.process_time() - begin
    return {"everything": everything, **_timed_draws(problem, best)}


def _timed_draws(problem: Any, best: Any) -> dict[str, Any]:
    """Draws, with the seconds of their warm-up and drawing alone; all is compiled before."""
    import jax.numpy as jnp

    from calibration.sampling.around_fit import starting_points
    from calibration.sampling.nuts import NUTS
    from calibration.sampling.whitening import whiten
    from twin import float64
    from twin.progress import Progress

    with float64():
        whitening = whiten(best.best, best.curvature, problem.lower, problem.upper)
        density = lambda z, _: problem.log_posterior(whitening.theta(z)) + whitening.log_volume(z)  # noqa: E731
        sampler = NUTS(density, target_acceptance=0.9, max_doublings=8)
        z = np.asarray(starting_points(problem, whitening, CHAINS, 0))
        line = Progress("", 1, quiet=True)
        sampler.run(z, jax.random.key(9), warmup=75, draws=25, line=line)
        begin = time.process_time()
        trace = sampler.run(z, jax.random.key(1), warmup=WARMUP, draws=DRAWS, line=line)
        seconds = time.process_time() - begin
        theta = np.asarray(jax.vmap(jax.vmap(whitening.theta))(jnp.asarray(trace.position)))
    return {"theta": theta, "seconds": seconds, "steps": float(trace.leapfrogs.mean())}


def metric_of(theta: np.ndarray, problem: Any) -> tuple[np.ndarray, list[str]]:
    """Covariance of draws in NumPyro's unbounded coordinates, sorted by name as it flattens them."""
    share = (theta.reshape(-1, theta.shape[-1]) - problem.lower) / (problem.upper - problem.lower)
    order = sorted(range(len(problem.names)), key=lambda i: problem.names[i])
    u = np.log(share) - np.log1p(-share)
    return np.cov(u[:, order], rowvar=False), [problem.names[i] for i in order]


def run_numpyro(
    model: Callable,
    chains: int,
    warmup: int,
    draws: int,
    near: np.ndarray,
    names: Any,
    metric: tuple[np.ndarray, list[str]] | None,
    dense: bool,
) -> dict[str, Any]:
    """Sample with NumPyro's NUTS twice: the first run compiles, the second is timed.

    Chains begin at our posterior mean, which spares NumPyro the search that our fit has done; with a metric of ours
    also what its warm-up would learn but for the step size.
    """
    import numpyro.infer as infer

    start = infer.init_to_value(values=dict(zip(names, near, strict=True)))
    begin = time.process_time()
    tuned: dict[str, Any] = {"dense_mass": dense}
    if metric is not None:
        block = tuple(metric[1])
        tuned = {"dense_mass": [block], "inverse_mass_matrix": {block: metric[0]}, "adapt_mass_matrix": False}
        tuned["step_size"] = 0.3
    kernel = infer.NUTS(model, target_accept_prob=0.9, max_tree_depth=8, init_strategy=start, **tuned)
    mcmc = infer.MCMC(kernel, num_warmup=warmup, num_samples=draws, num_chains=chains, chain_method="sequential",
                      progress_bar=False)  # fmt: skip
    mcmc.run(jax.random.key(0), extra_fields=("num_steps",))
    everything = time.process_time() - begin
    begin = time.process_time()
    mcmc.run(jax.random.key(1), extra_fields=("num_steps",))
    seconds = time.process_time() - begin
    found = mcmc.get_samples(group_by_chain=True)
    return {
        "theta": np.stack([np.asarray(found[name]) for name in names], axis=-1),
        "everything": everything,
        "seconds": seconds,
        "steps": float(np.mean(mcmc.get_extra_fields()["num_steps"])),
    }


def summary(who: str, found: dict[str, Any], names: Any) -> dict[str, object]:
    """One row of the table."""
    from arviz_stats import ess, rhat

    theta = found["theta"]
    sizes = [float(ess(theta[..., i])) for i in range(theta.shape[-1])]
    least = int(np.argmin(sizes))
    worst = max(float(rhat(theta[..., i])) for i in range(theta.shape[-1]))
    return {
        "sampler": who, "chains x draws": f"{theta.shape[0]} x {theta.shape[1]}", "least ESS": sizes[least],
        "of": names[least], "R-hat": worst, "steps": found["steps"], "seconds": found["seconds"],
        "ESS/s": sizes[least] / found["seconds"], "with compilation [s]": found["everything"],
        "ESS/s with it": sizes[least] / found["everything"],
    }  # fmt: skip


def compare(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference of means and of standard deviations, in Monte-Carlo standard errors of both."""
    from arviz_stats import mcse

    away = []
    for i in range(ours.shape[-1]):
        a, b = ours[..., i], theirs[..., i]
        for what, of in (("mean", np.mean), ("sd", np.std)):
            away.append(abs(of(a) - of(b)) / np.hypot(float(mcse(a, method=what)), float(mcse(b, method=what))))
    return float(max(away))


def main() -> None:
    """Run what is asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--only", choices=tuple(MODELS))
    parser.add_argument("--peer-chains", type=int, default=CHAINS, help="the peer's chains, fewer if there is no time")
    parser.add_argument("--peer-dense", action="store_true", help="a dense metric; NumPyro's default is a diagonal one")
    parser.add_argument("--peer-gets-our-metric", action="store_true", help="spare a slow peer most of its warm-up")
    parser.add_argument("--peer-warmup", type=int, default=WARMUP)
    parser.add_argument("--peer-draws", type=int, default=DRAWS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    # Neither may find programs of an earlier run.
    jax.config.update("jax_enable_compilation_cache", False)
    jax.config.update("jax_enable_x64", True)
    import blackjax
    import diffrax
    import jaxlib
    import numpyro

    machine = {
        "processor": platform.processor() or platform.machine(), "cores used": len(os.sched_getaffinity(0)),
        "python": platform.python_version(), "jax": jax.__version__, "jaxlib": jaxlib.__version__,
        "numpyro": numpyro.__version__, "diffrax": diffrax.__version__, "blackjax": blackjax.__version__,
    }  # fmt: skip
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        machine["processor"] = next(x.split(":")[1].strip() for x in cpu.read_text().splitlines() if "model name" in x)
    print(json.dumps(machine, indent=1), flush=True)
    for label in [args.only] if args.only else list(MODELS):
        problem, peer = MODELS[label]()
        model, log_posterior = numpyro_model(problem, peer)
        ours = run_ours(problem)
        print(summary("cytotwin", ours, problem.names), flush=True)
        near = ours["theta"].reshape(-1, len(problem.names)).mean(axis=0)
        same = abs(float(log_posterior(near)) - float(problem.log_posterior(near)))
        print(f"{label}: the two log posteriors differ by {same:.2g}", flush=True)
        assert same < 1e-3, same
        metric = metric_of(ours["theta"], problem) if args.peer_gets_our_metric else None
        theirs = run_numpyro(
            model, args.peer_chains, args.peer_warmup, args.peer_draws, near, problem.names, metric, args.peer_dense
        )
        rows = [
            summary("cytotwin", ours, problem.names),
            summary(f"NumPyro, {peer.solver}", theirs, problem.names),
        ]
        away = compare(ours["theta"], theirs["theta"])
        ratio = rows[0]["ESS/s"] / rows[1]["ESS/s"]  # type: ignore[operator]
        text = (
            f"# {label}\n\n{markdown(rows)}\n{ratio:.1f} times the effective draws per second; posteriors differ by at "
            f"most {away:.1f} Monte-Carlo errors in {2 * len(problem.names)} means and standard deviations.\n\n"
            f"{machine}\n"
        )
        print(text, flush=True)
        write_tsv(args.out / f"nuts_{label}.tsv", rows)
        (args.out / f"nuts_{label}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
