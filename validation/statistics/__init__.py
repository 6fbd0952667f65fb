"""Pure statistics of people's answers: no database, no Django. Each module answers one question."""
