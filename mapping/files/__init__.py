"""Import and export of the mapping: the catalogue, class lists, CSV, JSON, SSSOM."""
