"""From signals to alerts: what the agents saw, what the rules find in it, and the life cycle of the alerts that follow."""
