"""One model beside baselines, in one run: ``framelens-eval run``."""
