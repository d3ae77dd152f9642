"""``framelens-eval bench``."""
