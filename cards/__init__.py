"""The published models, one folder each: card, config and, where small enough, the weights; imported as `zoo_cards`."""
