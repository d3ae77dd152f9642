"""``framelens-eval compare``."""
