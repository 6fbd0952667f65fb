"""Pages of people, tokens and history."""
