"""A model or a calibrated twin as a local web page: ``twin serve``, with the extra ``web``."""
