"""Immune receptors with known antigens, simulated and real, and what learners of binding make of both.

`recombination` makes T-cell receptor beta chains, `binding` says by rule what they bind, `dynamics` lets clones expand
and samples them, `tables` reads and writes AIRR and VDJdb tables, `distance` and `learners` predict binding, `study`
measures how well, from real, synthetic and mixed receptors.
"""
