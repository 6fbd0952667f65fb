"""How files of other tools are read: text, tables, names. Pure Python, used by the apps and by the engine."""
