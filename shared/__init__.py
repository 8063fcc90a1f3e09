"""The pure core: what the edge and the origin must compute in the same way.

Nothing here reads a clock, draws randomness, logs or does I/O, and nothing is imported but the standard library.
The way of the data: `snapshot` (what was published) and a request's attributes go into `decision.decide`, which asks
`conditions` (who is eligible), `policy` (exact Thompson probabilities), `constraints` (floors) and `choice` (the
exponential race over `uniform`). `events` holds what is logged of it. `numbers` is the arithmetic they all stand on.
"""
