"""Identity: visitors and users stitched into persons.

From the events' links between visitors and users (`gather`) and from imported graphs (`importing`), guarded against
runaway merges (`guard`), persons are the connected components (`persons`). The state (`state`) grows from run to run
(`stitch`), each run leaves its trail (`trail`), and `show` says why whom belongs to whom.
"""
