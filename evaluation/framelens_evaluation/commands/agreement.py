"""``framelens-eval agreement``."""
