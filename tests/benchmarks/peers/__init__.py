"""This package and its peers measured side by side: AMICI, libRoadRunner, diffrax and SciPy on the same problems.

    uv run --group peers python -m tests.benchmarks.peers ../shared/petab-benchmarks --out out/peers

Each engine lives in a worker process of its own on the same core; one works at a time, in turn.
"""
