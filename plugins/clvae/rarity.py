"""`python -m zoo_plugins.clvae.rarity`: the older name of the command `python -m zoo.data.rarity`."""

from zoo.data.rarity import main

if __name__ == "__main__":
    main()
