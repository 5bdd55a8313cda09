"""ClickHouse's HTTP interface, read-only, over the embedded engine."""
