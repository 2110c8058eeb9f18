# aggregate_conformance.py DIR - the cases of trends, users, segments, identity, through all programs
# SPDX-License-Identifier: Apache-2.0
import datetime
import sys

from aggregate_world import Tap, World

tap = Tap()
root = sys.argv[1]


# day: of January 2026 (or a whole date); properties by keywords
def event(user, name, day, time="12:00:00", anonymous=None, **properties):
    message = {"event": name, "properties": properties,
               "timestamp": f"{day}T{time}Z" if isinstance(day, str) else f"2026-01-{day:02d}T{time}Z"}
    if user:
        message["userId"] = user
    if anonymous:
        message["anonymousId"] = anonymous
    return message


def values(answer, series=0):
    return answer["series"][series]["values"]


def segments(answer):
    return {"/".join(line["segment"]): line["overall"] for line in answer["series"]}


def world(name, events, *options):
    made = World(f"{root}/{name}", *options)
    made.send(events)
    return made


# L04: weekly active users look back before the range, and idle days keep them
w = world("L04", [event("p0", "run", 3)] + [event("p1", "run", d) for d in (9, 10, 11)] +
          [event("p2", "run", d) for d in (9, 11)])
january = {"from": "2026-01-09", "to": "2026-01-16"}
for kind, wanted in (("wau", [3, 2, 2, 2, 2, 2, 2, 2]), ("dau", [2, 1, 2, 0, 0, 0, 0, 0]),
                     ("mau", [3] * 8), ("unique", [2, 1, 2, 0, 0, 0, 0, 0])):
    answer = w.trend(**january, measures=[{"event": "run", "measure": kind}])
    tap.same(values(answer), wanted, f"L04 {kind}")
    tap.same(answer["series"][0]["overall"], 2, f"L04 {kind}: of the whole range")
answer = w.trend(**{"from": "2025-12-01", "to": "2026-01-31"}, unit="month",
                 measures=[{"event": "run", "measure": "mau"}])
tap.same(values(answer), [0, 3], "a month's MAU is that of its last day")
answer = w.trend(**january, measures=[{"event": "run"}], rolling=7)
tap.same([round(v * 7, 6) for v in values(answer)], [3, 3, 5, 5, 5, 5, 5, 3],
         "a rolling average looks back before the range")
answer = w.trend(**january, measures=[{"event": "run"}], compare={"shift": {"n": 1, "unit": "week"}})
tap.same(answer["series"][0]["compared"], [0, 1, 0, 0, 0, 0, 0, 2], "compared with a week before")
answer = w.trend(**january, measures=[{"event": "run"}, {"event": "run", "measure": "unique"}],
                 formula="A / B")
tap.same(values(answer, 2), [1, 1, 1] + [None] * 5, "a formula; x / 0 is null")
w.close()

# L05: cumulative
w = world("L05", [event(f"u{i}", "sign up", 1) for i in range(3)] + [event("u0", "sign up", 2)])
days = {"from": "2026-01-01", "to": "2026-01-04", "measures": [{"event": "sign up"}]}
tap.same(values(w.trend(**days)), [3, 1, 0, 0], "L05 daily")
tap.same(values(w.trend(**days, cumulative=True)), [3, 4, 4, 4], "L05 cumulative")
days["measures"] = [{"event": "sign up", "measure": "unique"}]
tap.same(values(w.trend(**days, cumulative=True)), [3, 3, 3, 3], "a user is cumulated once")
w.close()

# B02: value v has v users; the first five, and the rest is a union
w = world("B02", [event(f"v{v}-{i}", "sign up", 1, value=str(v)) for v in range(1, 10) for i in range(v)] +
          [event("v1-0", "sign up", 2, value="2"), event("v9-0", "list", 1, tags=["P1", "P2", "P4"]),
           event("v9-0", "empty", 1, text="", none=None)] +
          [event("n", "numbers", 1, n=n) for n in range(100)])
common = {"from": "2026-01-01", "to": "2026-01-02", "measures": [{"event": "sign up", "measure": "unique"}]}
answer = w.trend(**common, breakdown=[{"prop": "value"}], top=5)
tap.same(segments(answer), {"9": 9, "8": 8, "7": 7, "6": 6, "5": 5, "$other": 10}, "B02: five segments, a union")
# L07: lists
for elements, wanted in (("any", 1), ("all", 0)):
    answer = w.trend(**{**common, "measures": [{"event": "list"}]}, where={
        "prop": "tags", "op": "is", "values": ["P1"], "elements": elements})
    tap.same(answer["series"][0]["overall"], wanted, f"L07: {elements} element")
answer = w.trend(**{**common, "measures": [{"event": "list"}]}, breakdown={"prop": "tags"})
tap.same(segments(answer), {"P1": 1, "P2": 1, "P4": 1}, "L07: a segment per element")
answer = w.trend(**{**common, "measures": [{"event": "empty"}]}, breakdown=[{"prop": "text"}, {"prop": "none"}])
tap.same(segments(answer), {"(empty string)/(not set)": 1}, "names of nothing")
answer = w.trend(**{**common, "measures": [{"event": "numbers"}]}, breakdown={"prop": "n"})
tap.same(segments(answer), {f"[{n}, {n + 10})": 10 for n in range(0, 100, 10)}, "numbers fall into ranges")
for kind, wanted in (("sum", 4950), ("avg", 49.5), ("min", 0), ("max", 99), ("median", 49.5), ("p25", 24.75),
                     ("p90", 89.1), ("p99", 98.01), ("distinct", 100)):
    answer = w.trend(**{**common, "measures": [{"event": "numbers", "measure": kind, "prop": "n"}]})
    got = [round(v, 9) if v is not None else None for v in values(answer)]
    tap.same([got, round(answer["series"][0]["overall"], 9)],
             [[wanted, {"sum": 0, "distinct": 0}.get(kind)], wanted], kind)
answer = w.trend(**{"from": "2026-01-01", "to": "2026-01-02"}, top=2)
tap.same([[line["event"], line["overall"]] for line in answer["series"]],
         [["numbers", 100], ["sign up", 46], ["$other", 2]], "without measures: the top events")

# bad input
answer = w.trend(**common, where={"prop": "nowhere", "op": "is", "values": ["x"]})
tap.same([values(answer), answer.get("unknown")], [[0, 0], {"events": [], "properties": ["nowhere"]}],
         "an unknown property: empty, and says so")
answer = w.trend(**{**common, "measures": [{"event": "Nothing"}]})
tap.same(answer.get("unknown"), {"events": ["Nothing"], "properties": []}, "an unknown event, too")
for question, at in (({"from": "2026-01-02", "to": "2026-01-01"}, "/to"), ({"from": "0999-01-01"}, "/from"),
                     ({"last": {"n": 0, "unit": "day"}}, "/last/n"), ({"units": "day"}, "/units"),
                     ({"where": {"or": [{"prop": "x", "op": "is", "values": "y"}]}}, "/where/or/0/values"),
                     ({"breakdown": [{"prop": "a"}] * 6}, "/breakdown"), ({"top": 5000}, "/top"),
                     (b'{"top":', ""), (b"[]", "")):
    status, answer = w.ask("trend", question)
    tap.same([status, answer.get("error", {}).get("at")], [400, at], f"refused: {question}")
status, answer = w.ask("funnel", {"steps": [{"event": "sign up"}] * 33})
tap.same([status, answer.get("error", {}).get("at")], [400, "/steps"], "33 steps")
tap.same(w.ask("horoscope", {})[0], 404, "no such question")
status, text = w.ask("trend", {**common, "breakdown": {"prop": "value"}, "top": 1}, accept="text/csv")
tap.same(text, "bucket,sign up: 9,sign up: $other\r\n2026-01-01,9,36\r\n2026-01-02,0,1\r\n", "CSV")
w.close()

# Identity: I01, I02, I04
w = world("I01", [event(None, "A", 1, anonymous="D1"), event(None, "A", 1, anonymous="D1", time="12:01:00"),
                  event("U1", "A", 1, anonymous="D1", time="12:02:00")])
users = {"from": "2026-01-01", "to": "2026-01-03", "measures": [{"event": "*", "measure": "unique"}]}
tap.same(w.trend(**users)["series"][0]["overall"], 1, "I01: a device and its user are one")
w.send([event(None, "A", 2, anonymous="D2"), event(None, "A", 2, anonymous="D2", time="12:01:00")])
tap.same(w.trend(**users)["series"][0]["overall"], 2, "I01: another device")
w.send([event("U1", "A", 2, anonymous="D2", time="12:02:00")])
answer = w.trend(**users)
tap.same([answer["series"][0]["overall"], values(answer)], [1, [1, 1, 0]], "I01: which is his, too")
w.send([event(None, "B", 3, anonymous="undefined"), event("null", "B", 3, time="13:00:00")])
answer = w.trend(**{**users, "measures": [{"event": "B"}, {"event": "B", "measure": "unique"}]})
tap.same([line["overall"] for line in answer["series"]], [2, 0], "nobody's events count, but are no user")
w.close()

# R04: months of zones; 1971 and a day of 25 hours; late events
w = world("R04", [event("p", "run", "2020-05-01", f"0{h}:00:00") for h in range(3)] +
          [event("p", "old", "1971-01-02"), event("p", "tick", "2025-10-25", "22:30:00")] +
          [event("p", "tick", "2025-10-26", f"{h:02d}:30:00") for h in range(24)])
for zone, wanted in (("UTC", [0, 3]), ("US/Pacific", [3, 0])):
    answer = w.trend(**{"from": "2020-04-01", "to": "2020-05-31"}, zone=zone, unit="month",
                     measures=[{"event": "run"}])
    tap.same([answer["buckets"], values(answer)], [["2020-04-01", "2020-05-01"], wanted], f"R04 {zone}")
answer = w.trend(**{"from": "2025-10-26", "to": "2025-10-26"}, zone="Europe/Stockholm", unit="hour",
                 measures=[{"event": "tick"}])
tap.same([len(values(answer)), sum(values(answer)), answer["buckets"][2:4]],
         [25, 24, ["2025-10-26T02:00:00+02:00", "2025-10-26T02:00:00+01:00"]], "a day of 25 hours")
answer = w.trend(**{"from": "1971-01-01", "to": "1971-01-03"}, measures=[{"event": "old"}])
tap.same(values(answer), [0, 1, 0], "an event of 1971")
answer = w.trend(**{"from": "2020-05-01", "to": "2020-05-01"}, measures=[{"event": "run", "measure": "sessions"}])
tap.same(values(answer), [3], "sessions")
answer = w.trend(**{"from": "2020-05-01", "to": "2020-05-01"}, measures=[{"event": "run", "measure": "sessions"}],
                 session={"timeout": {"n": 2, "unit": "hour"}})
tap.same(values(answer), [1], "a longer pause")
w.close()

# Weeks that begin elsewhere: Stockholm's clocks go back on Sunday, October 26
w = world("weeks", [event("p", "run", "2025-10-25", "21:59:59"), event("p", "run", "2025-10-25", "22:00:00"),
                    event("p", "run", "2025-11-01", "22:59:59"), event("p", "run", "2025-11-01", "23:00:00")],
          "--week-start", "saturday")
weeks = {"from": "2025-10-20", "to": "2025-11-02", "zone": "Europe/Stockholm", "unit": "week"}
for start, buckets, wanted in (("monday", ["2025-10-20", "2025-10-27"], [2, 2]),
                               ("sunday", ["2025-10-19", "2025-10-26", "2025-11-02"], [1, 2, 1]),
                               (None, ["2025-10-18", "2025-10-25", "2025-11-01"], [0, 2, 2])):
    asked = {**weeks, **({"week_start": start} if start else {})}
    answer = w.trend(**asked, measures=[{"event": "run"}, {"event": "run", "measure": "wau"}])
    tap.same([answer["buckets"], values(answer)], [buckets, wanted], f"weeks from {start or 'the default'}")
    tap.same(values(answer, 1), [min(n, 1) for n in wanted], "and who was there in their last seven days")
    answer = w.ask("lifecycle", {**asked, "event": "run"})[1]
    tap.same([values(answer), values(answer, 1)],
             {2: [[1, 0], [0, 1]], 3: [[1, 0, 0], [0, 1, 1]] if start else [[0, 1, 0], [0, 0, 1]]}[len(wanted)],
             "lifecycle")
    answer = w.ask("stickiness", {**asked, "event": "run"})[1]
    active = sum(n > 0 for n in wanted)
    tap.same(answer["values"], [int(k + 1 == active) for k in range(len(wanted))], "stickiness")
    answer = w.ask("retention", {**asked, "start": {"event": "run"}, "return": {"event": "run"}, "periods": 1})[1]
    tap.same([[line["bucket"], line["size"]] for line in answer["cohorts"]],
             [[bucket, min(n, 1)] for bucket, n in zip(buckets, wanted)], "retention")
    answer = w.ask("funnel", {**{k: v for k, v in asked.items() if k != "unit"}, "steps": [{"event": "run"}],
                              "trend": "week"})[1]
    tap.same([[line["bucket"], line["entered"]] for line in answer["trend"]],
             [[bucket, min(n, 1)] for bucket, n in zip(buckets, wanted)], "a funnel's trend")
    last = w.trend(last={"n": 2, "unit": "week"}, unit="week", measures=[{"event": "run"}],
                   **({"week_start": start} if start else {}))["buckets"]
    tap.same([datetime.date.fromisoformat(day).strftime("%A").lower() for day in last],
             2 * [start or "saturday"], "the last two weeks")
status, answer = w.ask("trend", {**weeks, "week_start": "someday"})
tap.same([status, answer["error"]["at"]], [400, "/week_start"], "no day")
w.close()
sys.exit(tap.end())
