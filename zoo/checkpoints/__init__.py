"""Other people's checkpoints: read without running them, recognised by their keys and shapes, converted into model folders.

reading: a file as tensors (extras: what lies beside them; shards: several files as one; refusals, foreign: what is not read);
networks: what it holds; averages: EMA without names; identify: whose they are; convert: the model folder.
"""
