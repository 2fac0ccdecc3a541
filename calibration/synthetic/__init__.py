"""Labelled synthetic cohorts, and whether they help a learner on real subjects (layer L5 of the gap).

`process` is how virtual subjects are measured, `synthesize` makes a `Synthetic` cohort from a problem, `endpoints` are
its labels, `card` says what it is.
"""
