"""Shard folders read back: `zoo compose … --shards DIR` and any folder or URL of that form (docs/scale.md).

`places`: a folder here or an fsspec URL; `finding`: which shards are finished; `members`: where the files of a tar lie; `source`: the
data set `shards:DIR`; `checking`: what is damaged; `stream`: the webdataset pipeline.
"""
