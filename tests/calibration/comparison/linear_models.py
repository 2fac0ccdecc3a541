"""A model whose fit, information criteria, leave-one-out densities and evidence have closed forms: a straight line."""
