"""Cards of models: their head, reading, writing, licences. Nothing here imports torch."""

from zoo.cards.head import parse_card as parse_card
from zoo.cards.reading import CORE_CARDS as CORE_CARDS
from zoo.cards.reading import README as README
from zoo.cards.reading import REQUIRED as REQUIRED
from zoo.cards.reading import Card as Card
from zoo.cards.reading import all_cards as all_cards
from zoo.cards.reading import card_digests as card_digests
from zoo.cards.reading import find as find
from zoo.cards.reading import listed_bytes as listed_bytes
from zoo.cards.reading import missing_facts as missing_facts
from zoo.cards.reading import read_card as read_card
from zoo.cards.reading import read_cards as read_cards
from zoo.cards.reading import search as search
from zoo.cards.reading import write_card as write_card
