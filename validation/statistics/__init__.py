"""Pure statistics of what people said: no database, no Django. One question a module."""
