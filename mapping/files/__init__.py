"""The mapping in and out: the catalogue, class lists, CSV, JSON, SSSOM."""
