"""Legal holds: rows that somebody must keep are copied before they expire, and stay until the hold is released."""
