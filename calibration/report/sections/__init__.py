"""The sections of the page: each says what it asks and how to read it, then shows the figure and the table."""
