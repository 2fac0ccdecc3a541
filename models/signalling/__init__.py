"""Signal transduction inside cells."""
