"""Multi-start fits side by side with pyPESTO, AMICI and fides: ``python -m tests.benchmarks.multistart``."""
