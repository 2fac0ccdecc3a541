"""Likelihoods of models whose molecules react by chance, and samplers for them."""
