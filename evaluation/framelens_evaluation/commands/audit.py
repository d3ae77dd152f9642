"""``framelens-eval audit``."""
