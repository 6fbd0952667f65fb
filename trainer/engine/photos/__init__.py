"""Provides the engine's photos: manifests, folders, partitions, augmentation, loading."""
