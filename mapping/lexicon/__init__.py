"""WordNet as data: nouns, senses, similarity; names of classes and what they mean."""
