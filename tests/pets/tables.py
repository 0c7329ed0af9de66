"""A table of a paper that nobody wrote."""

from zoo.plugin import Claim, Column, Row, Table, TableData

TABLE = Table(
    "Table 1: how many parts that were asked for appear",
    "A Paper on Pets",
    data=(TableData("drawn-pets", "Drawn pets"),),
    columns=(Column("met", "Met", "layout", "share_of_requests_met", "higher", scale=100, protocol="in percent"),),
    rows=(
        Row("slow", {"drawn-pets": "pet-maps/small"}, {"lr": 0.001}, paper={"drawn-pets": {"met": 50.0}}),
        Row("fast", {"drawn-pets": "pet-maps/small"}, paper={"drawn-pets": {"met": 90.0}}),
    ),
    claims=(Claim("fast is better", "met", "fast", ("slow",)),),
)
