"""The session: what the edge knows of a visit right now, and what it keeps of the visits before.

`fold` takes the state of a visit (`state`) and one event to the state after it, `text` is the state as the visitor's
cookie keeps it, `intent` the live score. Conditions, segments and features read it below `session`; the page that is
being decided counts in all of it, but for what only its reader can say (depth, time, read to the end).

    views                    pages of this visit
    visits                   visits so far, this one included
    away_days                whole days between the visit before and this one; 0 on a first visit
    referral                 where the visit came from: one of REFERRALS
    preferences.<question>   what the visitor has declared
    intent                   the live intent score, from 0 to 1
    engaged_s                seconds the pages of this visit were looked at
    depth                    the deepest scroll of any page of this visit, in %
    pages_read               pages of this visit that were read to the end (90 % and more)
    recent_categories        the categories of this visit's last eight pages that have one, the latest at the end
    bigrams                  which category followed which there, as in `pricing>case-study`; each once
    categories.<category>    pages of the category in this visit
    read.<category>          pages of the category read to the end in this visit
    interests.<category>     interest in the category: its pages, early ones weighing more (`fold` says how and why)
    top_category             the category of most interest, of equal ones the latest; empty where there is none
    earlier.views, earlier.engaged_s, earlier.pages_read, earlier.categories.<category>, earlier.read.<category>
                             the same for all earlier visits together

Counts end at 1,000,000, those of a category at 999. Twelve categories are kept; a thirteenth takes the place of the one
that was not visited for longest.
"""

from shared.session.fold import Declared, Event, Left, Viewed, fold, is_over, remembers, start
from shared.session.intent import Intent, score_intent
from shared.session.state import CATEGORY, REFERRALS, Session
from shared.session.text import read_session, write_session

__all__ = [
    "CATEGORY",
    "REFERRALS",
    "Declared",
    "Event",
    "Intent",
    "Left",
    "Session",
    "Viewed",
    "fold",
    "is_over",
    "read_session",
    "remembers",
    "score_intent",
    "start",
    "write_session",
]
