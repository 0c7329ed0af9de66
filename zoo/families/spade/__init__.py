"""The SPADE family: blocks, encoders, discriminators, the synthesizer and the trainer that its systems start from."""
