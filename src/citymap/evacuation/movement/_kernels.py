"""Compiled: people move from node to node, event by event, in strict order of time."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
from numba import njit

from citymap.evacuation._kernels import finish, heap_pop, heap_push

# Kinds of events.
DEPART, NODE, END, LEAVE, STRAND, DOOR = 0, 1, 2, 3, 4, 5
# Where an agent is.
WAITING, EN_ROUTE, ARRIVED, STRANDED = 0, 1, 2, 3
# Why stranded.
NONE, ON_LINK, NO_WAY, ROAD_CLOSED, HOME_CUT_OFF, NO_PLACE = 0, 1, 2, 3, 4, 5
# What people know.
FULL, ON_ARRIVAL, NOTHING = 0, 1, 2

AGENT = np.dtype(
    [
        ("when", "f8"), ("end", "f8"), ("door", "f8"), ("walked", "f8"), ("since", "f8"),
        ("due", "f8"), ("next", "i4"), ("prev", "i4"), ("listed", "i4"), ("place", "i4"),
        ("left", "i4"), ("qnext", "i4"), ("size", "i4"), ("edge0", "i4"), ("node_a", "i4"),
        ("node_b", "i4"), ("load", "f4"), ("leg_a", "f4"), ("leg_b", "f4"), ("v_dry", "f4"),
        ("share", "f4"), ("known", "i2"), ("mode", "i1"), ("cls", "i1"), ("status", "i1"),
        ("reason", "i1"), ("follow", "i1"), ("kind", "i1"),
    ],
    align=True,
)  # fmt: skip
LINK = np.dtype(
    [
        ("free_at", "f8"), ("last_end", "f8"), ("passed", "f8"), ("delay", "f8"), ("on", "f4"),
        ("peak", "f4"), ("qhead", "i4"), ("qtail", "i4"), ("whead", "i4"), ("wtail", "i4"),
        ("wnext", "i4"), ("wprev", "i4"), ("won", "i4"),
    ],
    align=True,
)  # fmt: skip
EDGE = np.dtype(
    [
        ("length", "f8"), ("area_foot", "f4"), ("rate_foot", "f4"), ("rate_car", "f4"),
        ("store_foot", "f4"), ("store_car", "f4"), ("factor_0", "f4"), ("factor_1", "f4"),
        ("row", "i4"), ("foot", "i1"), ("car_0", "i1"), ("car_1", "i1"),
    ],
    align=True,
)  # fmt: skip
DOORS = np.dtype(
    [
        ("off_m", "f8"), ("opens", "f8"), ("full_at", "f8"), ("capacity", "i8"), ("used", "i8"),
        ("turned", "i8"), ("node", "i4"), ("full", "i4"),
    ],
    align=True,
)  # fmt: skip

# ag AGENT, lk LINK (foot links, then car links), ed EDGE, sh DOORS; speeds[class, slice, row];
# fields next/label/cost[slot, node], limit[class, node]; bucket heads; log of links entered.
World = namedtuple(
    "World",
    "ag lk ed sh start out head speeds v_class epoch_slot f_next f_label f_cost f_made limit limit_next "
    "bucket number log_agent log_link log_time",
)
# numbers kept in World.number
CLOCK, LOGGED, FORCED = 0, 1, 2
Rule = namedtuple("Rule", "slice_s epoch_s horizon_s width_s patience_s knowledge overtaking")


@njit(cache=True)
def open_at(speeds, row, cls, t, slice_s):  # type: ignore[no-untyped-def]
    """Whether people of the class may enter the edge of this row at t."""
    return row < 0 or speeds[cls, min(int(t / slice_s), speeds.shape[1] - 1), row] > 0.0


@njit(cache=True)
def walk_speed(v_dry, density):  # type: ignore[no-untyped-def]
    """Weidmann (1993), scaled to the person's own free speed, up to the density of greatest flow.

    A denser crowd is a queue: how fast it moves is for the flow capacity of the link to say.
    """
    if density <= 0.05:
        return v_dry
    return v_dry * (1.0 - np.exp(-1.913 * (1.0 / min(density, 1.75) - 1.0 / 5.4)))


@njit(cache=True)
def link_costs(ed, speeds, v_class, slice_s, cls, mode, t, cost):  # type: ignore[no-untyped-def]
    """Seconds on every link for a class alone as roads are at t; infinite where closed or not theirs."""
    s = min(int(t / slice_s), speeds.shape[1] - 1)
    for e in range(ed.size):
        x = ed[e]
        water = speeds[cls, s, x.row] if x.row >= 0 else np.inf
        for way in range(2):
            v = v_class[cls]
            if mode == 0:
                v *= x.factor_1 if way else x.factor_0
                if x.foot == 0:
                    v = 0.0
            elif (x.car_1 if way else x.car_0) == 0:
                v = 0.0
            v = min(v, water)
            cost[2 * e + way] = x.length / v if v > 0.0 else np.inf


@njit(cache=True)
def settle(start, out, head, step, nxt, lab, cost, keys, items, size):  # type: ignore[no-untyped-def]
    """Dijkstra from what the heap holds, against the links."""
    while size > 0:
        key, node = keys[0], items[0]
        size = heap_pop(keys, items, size)
        if key > cost[node]:
            continue
        for k in range(start[node], start[node + 1]):
            away = out[k]
            other = head[away]
            reach = key + step[away ^ 1]
            if reach < cost[other]:
                cost[other] = reach
                lab[other] = lab[node]
                nxt[other] = away ^ 1
                size = heap_push(keys, items, size, reach, other)


@njit(cache=True)
def make_field(w, r, slot, cls, mode, t, everything):  # type: ignore[no-untyped-def]
    """Ways to the nearest shelter (that is not full, unless `everything`), as roads are at t."""
    n = w.start.size - 1
    nxt, lab, cost = w.f_next[slot], w.f_label[slot], w.f_cost[slot]
    keys = np.empty(w.out.size + w.sh.size + 1)
    items = np.empty(w.out.size + w.sh.size + 1, np.int32)
    step = np.empty(w.head.size)
    link_costs(w.ed, w.speeds, w.v_class, r.slice_s, cls, mode, t, step)
    size = 0
    for k in range(n):
        cost[k] = np.inf
        lab[k] = -1
        nxt[k] = -1
    for k in range(w.sh.size):
        s = w.sh[k]
        if s.node >= 0 and (everything or s.full == 0):
            first = s.off_m / w.v_class[0]
            if first < cost[s.node]:
                cost[s.node] = first
                lab[s.node] = k
                size = heap_push(keys, items, size, first, s.node)
    settle(w.start, w.out, w.head, step, nxt, lab, cost, keys, items, size)
    w.f_made[slot] = 1


@njit(cache=True)
def forget_shelter(w, r, slot, s, cls, mode, t):  # type: ignore[no-untyped-def]
    """Mend a field after shelter s has filled: only the nodes that went there are searched anew."""
    nxt, lab, cost = w.f_next[slot], w.f_label[slot], w.f_cost[slot]
    n = lab.size
    lost = np.empty(n, np.int32)
    count = 0
    for k in range(n):
        if lab[k] == s:
            lost[count] = k
            count += 1
            lab[k] = -1
            nxt[k] = -1
            cost[k] = np.inf
    if count == 0:
        return
    keys = np.empty(w.out.size + n + 1)
    items = np.empty(w.out.size + n + 1, np.int32)
    step = np.empty(w.head.size)
    link_costs(w.ed, w.speeds, w.v_class, r.slice_s, cls, mode, t, step)
    size = 0
    found = np.empty(count)
    way = np.empty(count, np.int32)
    for i in range(count):
        k = lost[i]
        found[i], way[i] = np.inf, -1
        for j in range(w.start[k], w.start[k + 1]):
            link = w.out[j]
            other = w.head[link]
            if lab[other] >= 0 and cost[other] + step[link] < found[i]:
                found[i] = cost[other] + step[link]
                way[i] = link
        for o in range(w.sh.size):  # another shelter may stand at the same node
            if w.sh[o].node == k and w.sh[o].full == 0 and w.sh[o].off_m / w.v_class[0] < found[i]:
                found[i], way[i] = w.sh[o].off_m / w.v_class[0], -2 - o
    for i in range(count):
        if found[i] < np.inf:
            k = lost[i]
            cost[k] = found[i]
            nxt[k] = max(way[i], -1)
            lab[k] = -2 - way[i] if way[i] <= -2 else lab[w.head[way[i]]]
            size = heap_push(keys, items, size, found[i], k)
    settle(w.start, w.out, w.head, step, nxt, lab, cost, keys, items, size)


@njit(cache=True)
def close_door(w, r, k, t, epoch):  # type: ignore[no-untyped-def]
    """Shelter k is full: from now on nobody who hears of it is sent there."""
    w.sh[k].full = 1
    w.sh[k].full_at = t
    classes = w.v_class.size
    for cls in range(classes):
        slot = w.epoch_slot[epoch] * classes + cls
        if w.f_made[slot] == 1:
            forget_shelter(w, r, slot, k, cls, 1 if cls == classes - 1 else 0, t)


@njit(cache=True)
def place_event(ag, bucket, width_s, a, t, kind):  # type: ignore[no-untyped-def]
    """Put the agent's one event into its bucket, taking out an earlier one."""
    x = ag[a]
    if x.listed >= 0:
        if x.prev >= 0:
            ag[x.prev].next = x.next
        else:
            bucket[x.listed] = x.next
        if x.next >= 0:
            ag[x.next].prev = x.prev
    b = min(int(t / width_s), bucket.size - 1)
    x.when = t
    x.kind = kind
    x.listed = b
    x.prev = -1
    x.next = bucket[b]
    if x.next >= 0:
        ag[x.next].prev = a
    bucket[b] = a


@njit(cache=True)
def unwait(lk, u):  # type: ignore[no-untyped-def]
    """Take link u out of the list of those that wait for room."""
    x = lk[u]
    if x.won < 0:
        return
    if x.wprev >= 0:
        lk[x.wprev].wnext = x.wnext
    else:
        lk[x.won].whead = x.wnext
    if x.wnext >= 0:
        lk[x.wnext].wprev = x.wprev
    else:
        lk[x.won].wtail = x.wprev
    x.won = -1


@njit(cache=True)
def off_link(ag, lk, ed, bucket, width_s, a, t):  # type: ignore[no-untyped-def]
    """The agent leaves the link it stands on; whoever waits behind moves up."""
    x = ag[a]
    li = x.left
    x.left = -1
    here = lk[li]
    here.on -= x.load
    if here.qhead == a:
        here.qhead = x.qnext
        x.qnext = -1
        unwait(lk, li)
        if here.qhead < 0:
            here.qtail = -1
        else:
            e = ed[(li % (2 * ed.size)) >> 1]
            rate = e.rate_foot if x.mode == 0 else e.rate_car
            place_event(ag, bucket, width_s, here.qhead, t + x.load / rate, LEAVE)
    for side in range(2 if x.mode == 0 else 1):  # room: the first link that waits may try
        u = lk[li ^ side].whead
        if u >= 0:
            unwait(lk, u)
            if lk[u].qhead >= 0:
                place_event(ag, bucket, width_s, lk[u].qhead, t, LEAVE)


@njit(cache=True)
def wait_for(lk, li, to):  # type: ignore[no-untyped-def]
    """Enter link li at the end of the list of those that wait for room on `to`."""
    here, there = lk[li], lk[to]
    if here.won == to:
        return
    unwait(lk, li)
    here.won = to
    here.wprev = there.wtail
    here.wnext = -1
    if there.wtail >= 0:
        lk[there.wtail].wnext = li
    else:
        there.whead = li
    there.wtail = li


@njit(cache=True)
def put(ag, batch, first, count, a):  # type: ignore[no-untyped-def]
    """Insert an agent into the part of the batch from `first` on, sorted by (time, agent)."""
    t, j = ag[a].when, count - 1
    while j >= first:
        o = batch[j]
        if ag[o].when < t or (ag[o].when == t and o < a):
            break
        batch[j + 1] = o
        j -= 1
    batch[j + 1] = a


@njit(cache=True)
def drained(ag, bucket, b, count):  # type: ignore[no-untyped-def]
    """All agents of a bucket, taken out and sorted by (time, agent)."""
    who = np.empty(count, np.int32)
    a = bucket[b]
    for i in range(count):
        who[i] = a
        ag[a].listed = -1
        a = ag[a].next
    bucket[b] = -1
    who.sort()
    when = np.empty(count)
    for i in range(count):
        when[i] = ag[who[i]].when
    return who[np.argsort(when, kind="mergesort")]


@njit(cache=True)
def move(w, r, until):  # type: ignore[no-untyped-def]
    """Work through every event before `until` (a whole number of buckets) in order of (time, agent).

    One function on purpose: passing two dozen arrays from one to the next at every event costs
    several times the work itself.
    """
    ag, lk, ed, sh = w.ag, w.lk, w.ed, w.sh
    head, speeds, v_class, epoch_slot = w.head, w.speeds, w.v_class, w.epoch_slot
    f_next, f_label, f_cost, f_made = w.f_next, w.f_label, w.f_cost, w.f_made
    limit, limit_next, bucket, number = w.limit, w.limit_next, w.bucket, w.number
    links, classes, shelters = head.size, v_class.size, sh.size
    slice_s, epoch_s, horizon_s, width_s = r.slice_s, r.epoch_s, r.horizon_s, r.width_s
    knowledge = r.knowledge
    initial = f_made.size // classes - 1
    batch = np.empty(256, np.int32)
    last = min(int(until / width_s + 0.5), bucket.size - 1)
    for b in range(number[CLOCK], last):
        first, count = 0, 0
        a = bucket[b]
        while a >= 0:
            count += 1
            a = ag[a].next
        if count > 64:  # many at once, at the beginning of an epoch say
            batch = drained(ag, bucket, b, count)
        else:
            count = 0
        while True:
            a = bucket[b]
            while a >= 0:  # what is here, and what events of this bucket add to it
                x = ag[a]
                bucket[b] = x.next
                if x.next >= 0:
                    ag[x.next].prev = -1
                x.listed = -1
                if count == batch.size:
                    bigger = np.empty(2 * count, np.int32)
                    bigger[:count] = batch
                    batch = bigger
                put(ag, batch, first, count, a)
                count += 1
                a = bucket[b]
            if first == count:
                break
            a = batch[first]
            first += 1
            x = ag[a]
            t, kind, cls, mode = x.when, x.kind, x.cls, x.mode
            epoch = min(int(t / epoch_s), epoch_slot.size - 1)
            later = (int(t / epoch_s) + 1) * epoch_s
            if knowledge == FULL:
                x.known = epoch
            li = x.left

            if kind == STRAND:
                x.status, x.reason, x.end, x.place = STRANDED, ON_LINK, t, li % links
                off_link(ag, lk, ed, bucket, width_s, a, t)
                continue

            if kind == END:
                here = lk[li]
                e = ed[(li % links) >> 1]
                rate = e.rate_foot if mode == 0 else e.rate_car
                if mode == 0 and lk[li ^ 1].on > 0:
                    rate *= here.on / (here.on + lk[li ^ 1].on)
                x.due = t
                at = max(t, here.free_at)
                here.free_at = at + x.load / rate
                if at > t:
                    place_event(ag, bucket, width_s, a, at, LEAVE)
                    continue

            elif kind == DOOR:
                k = int(x.share)
                s = sh[k]
                if t < s.opens:
                    if s.opens < horizon_s:
                        place_event(ag, bucket, width_s, a, s.opens, DOOR)
                    else:
                        x.reason, x.end, x.place = NO_PLACE, t, s.node
                    continue
                if s.full == 0 and s.used + x.size <= s.capacity:
                    s.used += x.size
                    x.status, x.place, x.end = ARRIVED, k, t
                    if s.used == s.capacity:
                        close_door(w, r, k, t, epoch)
                    continue
                s.turned += x.size
                if s.full == 0:
                    close_door(w, r, k, t, epoch)
                x.known, x.follow, x.place = epoch, 0, s.node
                x.walked += s.off_m
                place_event(ag, bucket, width_s, a, t + s.off_m / x.v_dry, NODE)
                continue

            slot = (initial if x.known < 0 else epoch_slot[x.known]) * classes + cls
            if f_made[slot] == 0:
                make_field(w, r, slot, cls, mode, 0.0 if x.known < 0 else t, x.known < 0)

            if kind == DEPART:
                row = ed[x.edge0].row
                v = x.v_dry
                to_a = f_cost[slot, x.node_a] + x.leg_a / v
                to_b = f_cost[slot, x.node_b] + x.leg_b / v
                if min(to_a, to_b) == np.inf or not open_at(speeds, row, cls, t, slice_s):
                    if x.reason != HOME_CUT_OFF:
                        x.reason, x.end = HOME_CUT_OFF, t
                    if knowledge == ON_ARRIVAL:
                        x.known = epoch
                    if later < horizon_s:
                        place_event(ag, bucket, width_s, a, later, DEPART)
                    continue
                leg = x.leg_a if to_a <= to_b else x.leg_b
                ok, te, share = finish(t, max(leg, 0.01), v, row, cls, speeds, slice_s)
                x.status, x.reason, x.door = EN_ROUTE, NONE, t
                if not ok:
                    x.status, x.reason, x.end, x.place = STRANDED, ON_LINK, te, -1
                    continue
                x.place = x.node_a if to_a <= to_b else x.node_b
                x.walked += leg
                place_event(ag, bucket, width_s, a, te, NODE)
                continue

            # At a node, or at the end of the link that leads to it.
            if li >= 0:
                here = lk[li]
                if here.qhead >= 0 and here.qhead != a:
                    x.qnext = -1
                    ag[here.qtail].qnext = a
                    here.qtail = a
                    continue
                if not open_at(speeds, ed[(li % links) >> 1].row, cls, t, slice_s):
                    x.status, x.reason, x.end, x.place, x.share = (
                        STRANDED,
                        ON_LINK,
                        t,
                        li % links,
                        1.0,
                    )
                    off_link(ag, lk, ed, bucket, width_s, a, t)
                    continue
            node = x.place
            arrived = False
            link = -1
            if x.follow == 1:
                link = limit_next[cls, node]
                if link < 0 or not open_at(speeds, ed[link >> 1].row, cls, t, slice_s):
                    x.follow, link = 0, -1
            if link < 0:
                link = f_next[slot, node]
                arrived = link < 0 and f_label[slot, node] >= 0
                if link >= 0 and knowledge == FULL and limit.shape[0] > 0:
                    # Who knows the future takes no link from whose end no shelter can be reached.
                    best = limit_next[cls, node]
                    if best >= 0 and t <= limit[cls, node]:
                        e = ed[link >> 1]
                        v = x.v_dry
                        if mode == 0:
                            v *= e.factor_1 if link & 1 else e.factor_0
                        ok, te, share = finish(t, e.length, v, e.row, cls, speeds, slice_s)
                        if not ok or te > limit[cls, head[link]]:
                            x.follow, link = 1, best
            reason = NO_WAY
            if link >= 0 and not open_at(speeds, ed[link >> 1].row, cls, t, slice_s):
                link = -1
                if knowledge == NOTHING:
                    reason = ROAD_CLOSED
                else:
                    x.known, x.follow = epoch, 0
                    slot = epoch_slot[epoch] * classes + cls
                    if f_made[slot] == 0:
                        make_field(w, r, slot, cls, mode, t, False)
                    link = f_next[slot, node]
                    arrived = link < 0 and f_label[slot, node] >= 0
                    if link >= 0 and not open_at(speeds, ed[link >> 1].row, cls, t, slice_s):
                        link = -1
            if arrived:
                if li >= 0:
                    off_link(ag, lk, ed, bucket, width_s, a, t)
                k = f_label[slot, node]
                x.share = k
                x.walked += sh[k].off_m
                place_event(ag, bucket, width_s, a, t + sh[k].off_m / x.v_dry, DOOR)
                continue
            if link < 0:
                if reason == NO_WAY:
                    if knowledge == ON_ARRIVAL:
                        x.known = epoch
                    reason = NO_PLACE
                    for k in range(shelters):
                        if sh[k].full == 0 and sh[k].node >= 0:
                            reason = NO_WAY
                            break
                if li >= 0:
                    off_link(ag, lk, ed, bucket, width_s, a, t)
                if x.reason != reason:
                    x.reason, x.end = reason, t
                if later < horizon_s:
                    place_event(ag, bucket, width_s, a, later, NODE)
                continue

            e = ed[link >> 1]
            to = link + links if mode == 1 else link
            there = lk[to]
            both = there.on + (lk[to ^ 1].on if mode == 0 else 0.0)
            if both > 0 and both + x.load > (e.store_foot if mode == 0 else e.store_car):
                if x.since < 0:
                    x.since = t
                if t - x.since < r.patience_s:
                    if li < 0:
                        place_event(ag, bucket, width_s, a, t + 5.0, NODE)
                        continue
                    if lk[li].qhead < 0:
                        lk[li].qhead = a
                        lk[li].qtail = a
                        x.qnext = -1
                    wait_for(lk, li, to)
                    place_event(
                        ag, bucket, width_s, a, max(x.since + r.patience_s, t + 1e-3), LEAVE
                    )
                    continue
                number[FORCED] += 1
            if li >= 0:
                lk[li].delay += max(t - x.due, 0.0) * x.size
                off_link(ag, lk, ed, bucket, width_s, a, t)
            x.since = -1.0
            x.reason = NONE
            if mode == 0:
                v = x.v_dry * (e.factor_1 if link & 1 else e.factor_0)
                v = walk_speed(v, (both + x.load) / e.area_foot)
            else:
                # Greenshields down to 1.8 m/s at the jam (LifeSim: stop and go).
                v = 1.8 + (x.v_dry - 1.8) * (1.0 - min((there.on + x.load) / e.store_car, 1.0))
            ok, te, share = finish(t, e.length, v, e.row, cls, speeds, slice_s)
            there.on += x.load
            there.peak = max(there.peak, both + x.load)
            there.passed += x.size
            x.left = to
            x.place = head[link]
            if number[LOGGED] < w.log_agent.size:
                k = number[LOGGED]
                w.log_agent[k] = a
                w.log_link[k] = link
                w.log_time[k] = t
                number[LOGGED] += 1
            x.walked += e.length * share
            if not ok:
                x.share = share
                place_event(ag, bucket, width_s, a, te, STRAND)
                continue
            if r.overtaking == 0:
                te = max(te, there.last_end)
                there.last_end = te
            place_event(ag, bucket, width_s, a, te, END)
    number[CLOCK] = last


@njit(cache=True)
def begin(w, r, depart_s):  # type: ignore[no-untyped-def]
    """Enter the departures (never where not a number) of all agents."""
    for a in range(w.ag.size):
        if depart_s[a] < r.horizon_s:
            place_event(w.ag, w.bucket, r.width_s, a, depart_s[a], DEPART)
