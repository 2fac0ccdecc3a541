"""What the data determine: Fisher information near one vector, global sensitivity over all of a distribution.

`scoring.py` and `spectrum.py` make the information and its linear algebra, `wording.py` puts directions into words,
`fisher.py` is the call and its result. `designs.py` is the only file that knows SALib; `outputs.py` runs the draws,
`sensitivity.py` is the call and its result. The two `*_plot.py` draw.
"""
