"""Training runs: start, supervise, study, compare, sweep."""
