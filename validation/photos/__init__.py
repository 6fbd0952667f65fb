"""New photos: intake, store, near duplicates, corrections."""
