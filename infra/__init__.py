"""The ``viworks`` command: embedded parts, keys and certificates, and the supervisor that starts and keeps all of it."""
