"""Gene expression: transcription in single cells."""
