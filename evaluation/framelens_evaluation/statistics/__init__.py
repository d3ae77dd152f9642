"""Scores, intervals and tests: functions of arrays that know nothing of files."""
