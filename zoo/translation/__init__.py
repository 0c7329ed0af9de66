"""`zoo translate`: photos through an image translator into a run folder. Above `zoo.composition`, whose folders and inputs it shares."""
