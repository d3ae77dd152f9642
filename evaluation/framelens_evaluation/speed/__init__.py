"""How fast framelens labels, beside what a user would run instead, and where the time goes."""
