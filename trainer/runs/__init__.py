"""Training runs: started, supervised, studied, compared, and launched together as sweeps."""
