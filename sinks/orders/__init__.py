"""Orders of administrators that the warehouse carries out, each once, in the order in which they were given."""
