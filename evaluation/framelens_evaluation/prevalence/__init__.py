"""Shares of labels in a corpus, corrected for the labeller's errors by a hand-labelled sample.

Counting predicted labels is biased by however the classifier errs, and its interval says nothing of that.
`estimators` and `adjusted` hold the estimators, `population` and `gold` read what they need, `estimate` puts
them together group by group, `plan` draws the sentences to label by hand, and `coverage` checks that the
intervals hold what they promise.
"""
