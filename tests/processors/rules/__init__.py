"""The rule language and its engine, without Kafka."""
