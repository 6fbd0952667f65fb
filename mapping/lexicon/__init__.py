"""WordNet as data: nouns, senses and similarity; and the meaning of class names."""
