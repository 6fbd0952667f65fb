"""Who is asked what next, and votes given and taken back."""
