"""The API of the mapping, below /api/v1/mapping/. It has the same permissions as the pages."""
