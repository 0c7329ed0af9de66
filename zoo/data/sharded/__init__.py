"""Shard folders read back: what `zoo compose … --shards DIR` writes (docs/scale.md), here or behind an fsspec URL.

`places`: a folder; `finding`: which shards are finished; `members`, `listing`: where the files of a tar lie; `source`: the data set
`shards:DIR`; `checking`: what is damaged; `stream`, `pipeline`, `stages`: the webdataset pipeline.
"""
