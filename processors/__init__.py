"""Decides on registrations, liveness and alerts: pure decisions, carried by thin Faust agents from Kafka to Kafka."""
