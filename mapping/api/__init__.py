"""The mapping by API, below /api/v1/mapping/: what the pages show and save, with the same permissions."""
