"""Systems against each other on the same sentences: ``framelens-eval compare``."""
