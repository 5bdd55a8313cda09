"""From Kafka into ClickHouse, exactly once, and out of it again as SQL."""
