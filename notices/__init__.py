"""News of what has happened: events, hooks that tell other programs, the list in the browser."""
