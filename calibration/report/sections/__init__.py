"""The sections of the page: each says what it asks and how to read it, then shows what was found."""
