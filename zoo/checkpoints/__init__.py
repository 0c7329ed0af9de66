"""Other people's checkpoints: read without running them, recognised by their keys and shapes, converted into model folders.

reading: a file as tensors; networks: what it holds; identify: whose they are; convert: the model folder.
"""
