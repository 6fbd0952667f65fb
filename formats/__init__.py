"""How files of other tools are read: text, tables, names. And spans. No Django: for the engine, too."""
