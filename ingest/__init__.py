"""The edge: checks who speaks and what is said, and answers 2xx only for what Kafka has."""
