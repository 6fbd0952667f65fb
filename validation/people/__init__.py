"""Who votes: how well each looks, known answers, guests."""
