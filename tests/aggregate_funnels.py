# aggregate_funnels.py DIR - data/conformance.json and more, as events through all programs
# SPDX-License-Identifier: Apache-2.0
import datetime
import json
import sys

from aggregate_world import Tap, World

tap = Tap()
cases = {case["id"]: case for case in json.load(open("tests/data/conformance.json"))}
BASE = 1790000000  # seconds of small times in cases count from here: 2026-09-21
ALL = {"from": "2026-09-01", "to": "2026-11-20"}


def stamp(seconds):
    seconds = seconds + BASE if seconds < 1e9 else seconds
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat()


def event(user, name, seconds, **properties):
    return {"userId": user, "event": name, "timestamp": stamp(seconds), "properties": properties}


def day(n, hour=12):
    return int(datetime.datetime(2026, 10, n, hour, tzinfo=datetime.timezone.utc).timestamp())


# --- the calls of conformance.json: each is one user's events and a funnel of its own ---

events = []
for case in cases.values():
    for number, call in enumerate(case["calls"]):
        user = f"{case['id']}-{number}"
        for seconds, mask, identity, name in call["events"]:
            events.append({**event(user, f"{case['id']} {name}", seconds, call=user),
                           "messageId": f"{user}-{identity:04d}"})
# --- and what has no calls ---
for user, days in (("p1", (11, 12, 13, 15, 17, 19)), ("p2", (9, 12)), ("p3", (12,)), ("p4", (15,))):
    events += [event(f"L01-{user}", "L01", day(d)) for d in days]
for user, days in (("p1", (1,)), ("p2", (1, 2)), ("p3", (1, 2, 3)), ("p4", (5,))):
    events += [event(f"L02-{user}", "L02", day(d)) for d in days]
for user, days in (("p1", (0, 1, 2, 5, 6)), ("p2", (1, 2, 3, 6))):
    events += [event(f"N01-{user}", "N01", day(1 + d)) for d in days]
for d, count in ((1, 5), (2, 10), (3, 15)):
    events += [event(f"N04-{u}", "N04", day(d)) for u in range(count)]
for name, hour, minute in (("A", 13, 0), ("B", 13, 10), ("C", 13, 50), ("D", 14, 10), ("E", 14, 25)):
    events.append(event("S01", "S01 " + name, day(20, hour) + minute * 60))
for name, seconds in (("A", -1200), ("B", 0), ("C", 1200)):     # over midnight
    events.append(event("S03", "S03 " + name, day(22, 0) + seconds))
# breakdowns (B01, B03, B04), people, paths
for user, first, second, gap in (("p1", "Chrome", None, 3600), ("p2", None, "Safari", 86400),
                                 ("p3", "Mac", None, 3600), ("p4", 0, "alakazam", 3600),
                                 ("p5", None, None, 3600)):
    events += [event(f"B01-{user}", "B01 sign up", day(5), b=first),
               event(f"B01-{user}", "B01 buy", day(5) + gap, b=second)]
for seconds, name, browser in ((0, "sign up", "Chrome"), (1, "play", "Safari"), (2, "sign up", "Safari"),
                               (3, "play", "Safari")):
    events.append(event("B03", "B03 " + name, day(6) + seconds, b=browser))
for u in range(40):
    events.append(event(f"R{u}", "R see", day(7) + u, price=u, few=u % 20))
    events += [event(f"R{u}", "R buy", day(7) + u + 60, price=u)] if u % 2 == 0 else []
events.append(event("R0", "R list", day(7) + 1, price=[1, 3, 8]))
for seconds, name, item in ((0, "browse", "shirt"), (1, "browse", "jeans"), (2, "cart", None),
                            (3, "browse", "shoes")):
    events.append(event("B04", "B04 " + name, day(7) + seconds, item=item))
for v in range(1, 10):
    events += [event(f"B02-{v}-{u}", "B02", day(8), v=str(v)) for u in range(v)]
for user, names in (("a", "SABC"), ("b", "SAB"), ("c", "SBA"), ("d", "S"), ("e", "XSAAB")):
    events += [event("W-" + user, "W" + name, day(9) + i) for i, name in enumerate(names)]
for user, session in (("h1", "s1 s1"), ("h2", "s1 s2"), ("h3", "s1 s2 s2")):
    events += [event("H-" + user, "H" + name, day(10) + i, cart=cart)
               for i, (name, cart) in enumerate(zip("AAB" if user == "h3" else "AB", session.split()))]
world = World(f"{sys.argv[1]}/world")
world.send(events)


def ask(report, **question):
    status, answer = world.ask(report, question)
    return answer if status == 200 else {"status": status, **answer}


def steps_of(case, calls):
    steps = []
    for k in range(calls[0]["n"]):
        names = sorted({name for call in calls for _, mask, _, name in call["events"] if mask >> k & 1})
        names = names or [f"nothing {k}"]
        steps.append({"any_of": [{"event": f"{case} {name}"} for name in names]})
    return steps


def counts(answer):
    return [step["count"] for step in answer["steps"]] if "steps" in answer else answer


MODES = {"best2": {}, "first_entry": {"count": "first"}, "totals": {"count": "totals"},
         "strict": {"order": "strict"}, "unordered": {"order": "any"}, "excl_level": {}}


def question(case, calls, drop):
    call = calls[0]
    asked = {**ALL, "steps": steps_of(case, calls), "window": {"n": call["W"], "unit": "second"},
             **MODES[call["fn"]]}
    if call["fn"] == "excl_level" or case == "F20":
        asked["exclusions"] = [{"event": f"{case} x" if case[0] == "X" else f"{case} A", "after": 1,
                                "before": 2, "mode": "drop" if drop else "keep"}]
    return asked


for name, case in cases.items():
    if name in ("R01", "R03"):
        continue
    for number, call in enumerate(case["calls"]):
        drop = call["fn"] == "excl_level" and call["args"][1]
        answer = ask("funnel", **question(name, [call], drop), where={
            "prop": "call", "op": "is", "values": [f"{name}-{number}"]})
        wanted = call["result"]
        if call["fn"] == "totals":
            tap.same([counts(answer)[0], counts(answer)[-1]], wanted, f"{name}: {case['desc']}")
            continue
        level, times = wanted if isinstance(wanted, list) else (wanted, None)
        got = counts(answer)
        if tap.ok(got == [1] * level + [0] * (call["n"] - level), f"{name}, user {number}: level {level}"):
            if times and level == call["n"] and level > 1:
                tap.same(answer["times"]["mean_ms"], (times[-1] - times[0]) * 1000,
                         f"{name}, user {number}: time to convert")
        else:
            print(f"# {got} {json.dumps(answer)[:300]}")
for name in ("F01", "F02", "F03", "F04", "F06", "F23", "F25", "X03", "X05", "X07"):
    tap.same(counts(ask("funnel", **question(name, cases[name]["calls"], name[0] == "X"))),
             cases[name]["expected"], f"{name}: {cases[name]['desc']}")
# half of X01's calls are for drop, half for keep, of the same four users
half = [call for call in cases["X01"]["calls"] if call["args"][1]]
for drop, wanted in zip((True, False), cases["X01"]["expected"]):
    users = [f"X01-{i}" for i, call in enumerate(cases["X01"]["calls"]) if call["args"][1]]
    tap.same(counts(ask("funnel", **question("X01", half, drop), where={
        "prop": "call", "op": "is", "values": users})), wanted, f"X01: {'drop' if drop else 'keep'}")
asked = question("T01", cases["T01"]["calls"], False)
t01 = ask("funnel", **{**asked, "steps": asked["steps"][:2]})
tap.same([t01["times"]["count"], t01["times"]["mean_ms"] / 1000,
          [[start / 1000, n] for start, n in t01["times"]["bins"]]],
         [3, *cases["T01"]["expected"][1:]], "T01: mean and bins of the times to convert")
t03 = ask("funnel", **question("T03", cases["T03"]["calls"], False))
tap.same([t03["times"]["mean_ms"], t03["times"]["median_ms"]], [210000, 210000], "T03: the latest entry is used")

# R01, R03: the calls repeat the same users once per day; each was sent as another user
for name in ("R01", "R03"):
    calls = cases[name]["calls"]
    days = sorted({tuple(call["args"]) for call in calls})
    users = [f"{name}-{i}" for i, call in enumerate(calls) if tuple(call["args"]) == days[0]]
    asked = {**question(name, calls, False), "trend": "day", "from": stamp(days[0][0]), "to": stamp(days[-1][1]),
             "where": {"prop": "call", "op": "is", "values": users}}
    answer = ask("funnel", **asked)
    tap.same([[b["entered"], b["converted"]] for b in answer.get("trend", [])], cases[name]["expected"],
             f"{name}: {cases[name]['desc']}")

# --- breakdowns ---
b01 = {**ALL, "steps": [{"event": "B01 sign up"}, {"event": "B01 buy"}], "window": {"n": 7, "unit": "day"}}
for way, odd in (("first", "0"), ("last", "alakazam")):
    answer = ask("funnel", **b01, breakdown={"prop": "b", "attribution": way})
    tap.same({s["segment"]: counts(s) for s in answer["segments"]},
             {name: [1, 1] for name in ("(not set)", odd, "Chrome", "Mac", "Safari")}, f"B01: {way} touch")
    times = {s["segment"]: s["steps"][1]["mean_ms"] for s in answer["segments"]}
    tap.same([times["Chrome"], times["Safari"]], [3600000, 86400000], f"B01: {way} touch, times")
    tap.same([sum(c) for c in zip(*(counts(s) for s in answer["segments"]))], counts(answer),
             "segments sum up to the whole")
b03 = {**ALL, "steps": [{"event": "B03 sign up"}, {"event": "B03 play"}]}
answer = ask("funnel", **b03, breakdown={"prop": "b", "attribution": "each"})
tap.same({s["segment"]: counts(s) for s in answer["segments"]}, {"Chrome": [1, 0], "Safari": [1, 1]}, "B03: each")
answer = ask("funnel", **ALL, steps=[{"event": "B04 browse"}, {"event": "B04 cart"}], count="totals",
             breakdown={"prop": "item", "step": 1})
tap.same({s["segment"]: counts(s) for s in answer["segments"]}, {"shirt": [1, 1], "shoes": [1, 0]},
         "B04: each entry of totals has the item of its own step 1")
answer = ask("funnel", **ALL, steps=[{"event": "B02"}], breakdown={"prop": "v"}, top=5)
tap.same([[s["segment"], counts(s)[0]] for s in answer["segments"]],
         [["9", 9], ["8", 8], ["7", 7], ["6", 6], ["5", 5], ["$other", 10]], "B02: the top five and the rest")
# many numbers are ranges; few values take one pass, more of them two or three: no difference
rs = {**ALL, "steps": [{"event": "R see"}, {"event": "R buy"}]}
answer = ask("funnel", **rs, breakdown={"prop": "price"}, top=20)
tap.same({s["segment"]: counts(s) for s in answer["segments"]},
         {f"[{n}, {n + 5})": [5, 3 - n // 5 % 2] for n in range(0, 40, 5)}, "40 prices are eight ranges")
tap.same([sum(c) for c in zip(*(counts(s) for s in answer["segments"]))], counts(answer), "that sum up to the whole")
answer = ask("funnel", **rs, breakdown={"prop": "price", "type": "string"}, top=100)
tap.same(sorted(s["segment"] for s in answer["segments"]), sorted(map(str, range(40))), "as texts they are 40")
answer = ask("funnel", **rs, breakdown={"prop": "few"}, top=100)
tap.same(sorted(int(s["segment"]) for s in answer["segments"]), list(range(20)), "20 numbers stay as they are")
answer = ask("funnel", **ALL, steps=[{"any_of": [{"event": "R see"}, {"event": "R list"}]}],
             breakdown={"prop": "price", "attribution": "each"}, top=20)
tap.same({s["segment"]: counts(s)[0] for s in answer["segments"]},
         {f"[{n}, {n + 5})": 6 if n == 5 else 5 for n in range(0, 40, 5)}, "each range has a person once")
for prop, steps in (("v", [{"event": "B02"}]), ("few", rs["steps"]), ("price", rs["steps"])):
    for way in ("first", "each"):
        asked = {**ALL, "steps": steps, "breakdown": {"prop": prop, "attribution": way}, "trend": "day",
                 "people": {"step": 1}}
        whole = ask("funnel", **asked, top=100)
        for top in (1, 4, 5, 9, 10, 11, 20):
            answer = ask("funnel", **asked, top=top)
            rest = whole["segments"][top:]
            good = answer["segments"][:top] == whole["segments"][:top] and len(answer["segments"]) == top + 1
            if not rest:
                good = answer["segments"] == whole["segments"]
            elif way == "first":
                good &= counts(answer["segments"][top]) == [sum(c) for c in zip(*map(counts, rest))]
            same = all(answer[part] == whole[part] for part in ("steps", "times", "trend", "people"))
            if not (good and same):
                tap.same(answer["segments"], whole["segments"], f"{prop}, {way}: the top {top} and the rest")
        tap.ok(True, f"{prop}, {way}: the top of 100, whatever the top is")
answer = ask("funnel", **ALL, steps=[{"event": "HA"}, {"event": "HB"}], hold=["cart"])
tap.same(counts(answer), [3, 2], "hold constant: both steps with one cart")
answer = ask("funnel", **ALL, steps=[{"event": "HA"}, {"event": "HB"}], count="sessions")
tap.same(counts(answer), [3, 3], "within sessions")

# --- people of a step ---
f01 = question("F01", cases["F01"]["calls"], False)
answer = ask("funnel", **f01, people={"step": 3, "dropped": True})
tap.same([answer["people"]["total"], answer["people"]["people"]], [1, [{"id": "F01-1"}]], "who dropped before step 3")
answer = ask("funnel", **f01, people={"step": 4, "limit": 1})
tap.same([answer["people"]["total"], len(answer["people"]["people"])], [2, 1], "who came to step 4; a page of them")
tap.same([answer["worst"], answer["steps"][1]["share"], answer["steps"][4]["from_previous"]], [5, 0.8, 0.5],
         "shares, and the worst step")

# --- refusals ---
for asked, at in (({"steps": []}, "/steps"), ({"steps": [{}]}, "/steps/0/event"),
                  ({"steps": [{"event": "a"}], "window": {"n": 0, "unit": "day"}}, "/window/n"),
                  ({"steps": [{"event": "a"}], "order": "loose"}, "/order"),
                  ({"steps": [{"event": "a"}], "order": "any", "count": "totals"}, "/count"),
                  ({"steps": [{"event": "a"}, {"event": "b"}], "exclusions": [{"event": "x", "after": 2}]},
                   "/exclusions/0/after"),
                  ({"steps": [{"any_of": [{"event": "a", "where": {"prop": "p"}}]}]}, "/steps/0/any_of/0/where")):
    status, answer = world.ask("funnel", asked)
    where = answer.get("error", {}).get("at", "")
    tap.ok(status == 400 and where.startswith(at), f"refused at {at}: {answer.get('error', {}).get('message')}")

# --- retention ---
range_ = {"from": "2026-10-01", "to": "2026-10-07"}
answer = ask("retention", **range_, start={"event": "N01"}, **{"return": {"event": "N01"}}, periods=11)
tap.same([c["values"][:len(w)] for c, w in zip(answer["cohorts"], cases["N01"]["expected"])],
         cases["N01"]["expected"], "N01: recurring, by calendar day")
tap.same([c["size"] for c in answer["cohorts"]], [1, 2, 2, 1, 0, 1, 2], "N01: sizes")
answer = ask("retention", **range_, start={"event": "N01"}, **{"return": {"event": "N01"}}, periods=3,
             mode="on_or_after")
tap.same([c["values"] for c in answer["cohorts"]][:2], [[1, 1, 1], [2, 2, 2]], "on or after")
answer = ask("retention", **{"from": "2026-10-02", "to": "2026-10-07"}, start={"event": "N01"},
             **{"return": {"event": "N01"}}, periods=2, kind="first_time")
tap.same([c["size"] for c in answer["cohorts"]], [2, 0, 0, 0, 0, 0], "first time in the range")
answer = ask("retention", **{"from": "2026-10-02", "to": "2026-10-07"}, start={"event": "N01"},
             **{"return": {"event": "N01"}}, periods=2, kind="first_ever")
tap.same([c["size"] for c in answer["cohorts"]], [1, 0, 0, 0, 0, 0], "first time ever")
answer = ask("retention", **{"from": "2026-10-01", "to": "2026-10-01"}, start={"event": "N04"},
             **{"return": {"event": "N04"}}, periods=3)
tap.same(answer["cohorts"][0]["values"], cases["N04"]["expected"], "N04")
answer = ask("retention", **{"from": "2026-10-01", "to": "2026-10-02"}, start={"event": "N01"},
             **{"return": {"event": "N01"}}, periods=2, clock="rolling")
tap.same([c["values"] for c in answer["cohorts"]], [[1, 1], [2, 2]], "rolling: 24 hours later is day 1")
tap.same(answer["average"], [1, 1], "the average, weighted by size")

# --- lifecycle, stickiness, sessions ---
answer = ask("lifecycle", event="L01", unit="day", **{"from": "2026-10-12", "to": "2026-10-19"})
tap.same({s["name"]: s["values"] for s in answer["series"]}, cases["L01"]["expected"], "L01: lifecycle")
answer = ask("stickiness", event="L02", unit="day", **{"from": "2026-10-01", "to": "2026-10-05"})
tap.same([answer["values"][:3], answer["total"]], cases["L02"]["expected"], "L02: stickiness")
answer = ask("stickiness", event="L02", unit="day", mode="at_least", **{"from": "2026-10-01", "to": "2026-10-05"})
tap.same(answer["values"], [4, 2, 1, 0, 0], "at least so many days")
one = {"from": "2026-10-20", "to": "2026-10-20"}
answer = ask("sessions", **one)
tap.same([answer["overall"]["sessions"], answer["overall"]["mean_ms"] * 2 / 60000, answer["overall"]["bins"]],
         [2, sum(cases["S01"]["expected"]), [[600000, 1], [1350000, 0], [2100000, 1]]], "S01: of 10 and 35 minutes")
night = {"from": "2026-10-21", "to": "2026-10-22"}
answer = ask("sessions", **night)
tap.same([answer["overall"]["sessions"], answer["overall"]["mean_ms"] / 60000], [1] + cases["S03"]["expected"],
         "S03: midnight ends no session")
tap.same(ask("sessions", **night, session={"midnight": True})["overall"]["sessions"], 2, "unless asked to")
tap.same(ask("sessions", **one, event="S01 C")["overall"]["sessions"], 1, "sessions with an event")

# --- paths ---
answer = ask("paths", start={"event": "WS"}, steps=2, top=1, **{"from": "2026-10-09", "to": "2026-10-09"})
nodes = [{n["event"]: n["count"] for n in step["nodes"]} for step in answer["steps"]]
tap.same(nodes, [{"WS": 5}, {"WA": 3, "$other": 1, "$drop_off": 1}, {"WA": 2, "$other": 2}],
         "paths: the top, the rest, and who goes")
tap.same(sum(l["count"] for l in answer["links"] if l["step"] == 0), 5, "links of the first step")
answer = ask("paths", start={"event": "WS"}, steps=2, top=3, collapse=True,
             **{"from": "2026-10-09", "to": "2026-10-09"})
tap.same({n["event"]: n["count"] for n in answer["steps"][2]["nodes"]}, {"WB": 3, "WA": 1},
         "repeats are one where asked")
answer = ask("paths", start={"event": "WS"}, direction="before", steps=1,
             **{"from": "2026-10-09", "to": "2026-10-09"})
tap.same({n["event"]: n["count"] for n in answer["steps"][1]["nodes"]}, {"WX": 1, "$drop_off": 4}, "what came before")
world.close()
sys.exit(tap.end())
