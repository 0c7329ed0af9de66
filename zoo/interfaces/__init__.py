"""The contracts: what a model of each kind owes, what it may be able to do, what a trainer gives the loop."""
