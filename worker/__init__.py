"""The edge shell: what stands between a request and the pure core.

The way of a page: `entry` (the one file that touches the runtime) hands plain Python to `visitor` (signed cookie),
`snapshots` (KV and the isolate's copy), `context` (the attributes), `plan` (the decisions and their HTML), `upstream`
(what may be rewritten) and back. The way of an event: `intake` reads what browsers send, `storage` packs what the
queue delivers into objects for the lake.
"""
