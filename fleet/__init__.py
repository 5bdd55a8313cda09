"""A simulator of many clients in one process: what a fleet of endpoints sends, on a schedule, and every answer to it."""
