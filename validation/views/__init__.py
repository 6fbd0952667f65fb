"""Pages, grouped by what people do on them."""
