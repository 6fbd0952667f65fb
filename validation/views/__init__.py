"""Pages, by what one does there."""
