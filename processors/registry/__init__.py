"""What the registry decides: pure functions (states, request, now) → decision, one module a subject.

One owner per client id, enrolment token or policy calls them, in the order of the partition.
"""
