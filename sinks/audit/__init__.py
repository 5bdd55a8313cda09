"""The audit log: a hash chain, signed checkpoints, their verification. See docs/audit.md."""
