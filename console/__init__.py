"""The admin panel. Reads through the SQL port; loopback only unless its allowlist says otherwise."""
