"""What plugins declare, how they are found, and where names become classes. Nothing here imports torch."""

from zoo.registry.border import culprit as culprit
from zoo.registry.border import plugin_code as plugin_code
from zoo.registry.border import told as told
from zoo.registry.kinds import KINDS as KINDS
from zoo.registry.lookup import Registry as Registry
from zoo.registry.lookup import import_string as import_string
from zoo.registry.lookup import label_space as label_space
from zoo.registry.lookup import registry as registry
from zoo.registry.lookup import reset as reset
from zoo.registry.lookup import space_or_file as space_or_file
from zoo.registry.plugin import API as API
from zoo.registry.plugin import FIRST_PARTY as FIRST_PARTY
from zoo.registry.plugin import GROUP as GROUP
from zoo.registry.plugin import TABLES as TABLES
from zoo.registry.plugin import ApiMismatch as ApiMismatch
from zoo.registry.plugin import Architecture as Architecture
from zoo.registry.plugin import Match as Match
from zoo.registry.plugin import Plugin as Plugin
from zoo.registry.plugin import PluginRecord as PluginRecord
from zoo.registry.plugin import Variant as Variant
