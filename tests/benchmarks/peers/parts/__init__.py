"""What is measured: one module per part, each with a function `measure`."""
