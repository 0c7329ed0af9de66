"""Many samples as shards: tars that depend on the request alone, made by one process, several, or a cluster.

`plan`: which samples a shard holds; `store`: where shards lie; `job`: what a process needs to know; `makers`: what makes samples;
`make`: one shard; `local`: the engines of this machine; `folder`: what lies there already; `finish`: the index.
"""
