"""The level of every interval over patients."""

Z = 1.959963984540054
"""Standard normal quantile of 95 % intervals."""
