"""Rules as questions to the warehouse: what a rule would have found in what is kept, as one SELECT a rule."""

from infra.rule_queries.queries import rule_query

__all__ = ["rule_query"]
