"""Photos for the engine: manifests, folders, partitions, augmentation, loading."""
