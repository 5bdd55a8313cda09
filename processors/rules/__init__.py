"""The rules: a language in YAML, what each agent must pass on because of it, and the engine that decides. Pure."""
