"""Pictures, label maps, tensors and folders on disk: read with clear errors, written whole or not at all."""
