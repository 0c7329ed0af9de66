"""A third-party plugin of the tests that brings one of everything a plugin can bring; small enough to read at once."""

from zoo.plugin import Architecture, Plugin

plugin = Plugin(
    api=1,
    architectures=[
        Architecture(
            "pet-maps",
            kind="mask-generator",
            model="pets.models:PetMaps",
            config="pets.config:Config",
            variants="pets.config:VARIANTS",
            trainer="pets.training:MapTrainer",
            official="pets.official",
            default="pet-maps-drawn",
            title="one learned map",
        ),
        Architecture(
            "pet-paint",
            kind="image-synthesizer",
            model="pets.models:PetPaint",
            config="pets.config:Config",
            variants="pets.config:VARIANTS",
            trainer="pets.training:PaintTrainer",
            default="pet-paint-drawn",
            title="one learned colour per class",
        ),
    ],
    networks={"pets.planes": "pets.models:Planes"},
    losses={"pets.colors": "pets.training:color_loss"},
    label_spaces={"pets": "pets.data:SPACE"},
    datasets={"drawn-pets": "pets.data:DrawnPets"},
    metrics={"pets.hits": "pets.training:hits"},
    tables={"table1": "pets.tables:TABLE"},
    cards="pets.cards",
)
