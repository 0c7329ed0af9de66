"""What pix2pixHD and the systems built on it share: blocks of generators, losses, the discriminator's official keys."""
