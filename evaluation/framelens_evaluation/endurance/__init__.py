"""Whether ``framelens label`` endures: kills, corpora of a million sentences, cold starts."""
