"""Stores of finished scenarios as a local web page: ``twin serve FOLDER``. Plain HTML and SVG, no scripts, no state."""
