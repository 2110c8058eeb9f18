#!/bin/bash
# enrich_geo.t - databases of places and networks, as files, through collect, enrich and sink
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

perl tests/mmdb.pl "$T"
ok $? "libmaxmind-db-writer-perl writes the databases (.ci/install test brings it)"

# run NAME [OPTION..]: one track event for each address of $T/ips; $T/NAME.json gets ip -> geo
run() {
  local name=$1
  shift
  jq -Rc '{type: "track", event: "x", anonymousId: "a", context: {ip: .}}' "$T/ips" |
    "$BIN/collect" --stdin 2> "$T/$name.log" |
    "$BIN/enrich" --bad "log:$T/bad-$name?partition=1" "$@" 2>> "$T/$name.log" |
    "$BIN/sink" --to "file:$T/$name" 2>> "$T/$name.log"
  cat "$T/$name"/*.jsonl | jq -c '[.ip, .geo]' > "$T/$name.json"
}
geo() {
  jq -r --arg ip "$2" "select(.[0] == \$ip) | .[1] | $3" "$T/$1.json"
}
all='[.country, .region, .city, .district, .lat, .lon, .scope] | map(. // "-") | join(" ")'
net='[.asn, .as_org] | map(. // "-") | join(" ")'

printf '%s\n' 81.2.69.142 81.2.70.1 81.2.71.1 10.1.2.3 130.237.28.40 2001:6b0:1::1 2a02:ec80:600::1 \
  203.0.113.9 2001:db8::1 ::ffff:81.2.69.1 127.0.0.1 fd00::1 255.255.255.255 > "$T/ips"
run all --geoip "$T/flat4.mmdb" --geoip "$T/flat6.mmdb" --geoip "$T/nested.mmdb" --asn "$T/asn.mmdb"
is "$(geo all 81.2.69.142 "$all")" "GB England London - 51.5142 -0.0931 -" "nested, version 4"
is "$(geo all ::ffff:81.2.69.1 "$all")" "GB England London - 51.5142 -0.0931 -" "version 4 inside 6"
is "$(geo all 81.2.70.1 "$all")" "FR - - - - - -" "only the registered country"
is "$(geo all 81.2.71.1 "$all")" "- - - - - - -" "an address that no file knows"
is "$(geo all 130.237.28.40 "$all")" "SE Stockholm Stockholm Östermalm 59.3326 18.0649 -" "flat, version 4, a district"
is "$(geo all 2001:6b0:1::1 "$all")" "SE - Uppsala - 59.8586 17.6389 -" "flat, version 6"
is "$(geo all 2a02:ec80:600::1 "$all")" "NL - Den Haag - - - -" "nested, version 6"
is "$(geo all 10.1.2.3 "$all")" "- - - - - - private" "private, whatever a file says"
is "$(geo all 203.0.113.9 "$all")" "- - - - - - documentation" "documentation"
is "$(geo all 2001:db8::1 "$all")" "- - - - - - documentation" "documentation, version 6"
is "$(geo all 127.0.0.1 .scope)/$(geo all fd00::1 .scope)" "loopback/private" "loopback, unique local"
is "$(geo all 81.2.69.142 "$net")" "20712 Andrews & Arnold Ltd" "a network and its name"
is "$(geo all 2001:6b0:1::1 "$net")" "1653 -" "a network without name"
is "$(geo all 10.1.2.3 "$net")" "- -" "a private address has no network"

# From the request's address: a browser behind a trusted proxy, through a listening collect.
printf 'sources: [{name: web, write_key: WK}]\n' > "$T/millrace.yaml"
start collect "$BIN/collect" --config "$T/millrace.yaml" --listen 127.0.0.1:0 --port-file "$T/port" \
  --trusted-proxies 127.0.0.0/8 --out "log:$T/web/collected" --bad "log:$T/web/bad"
wait_for 20 test -s "$T/port"
for client in 81.2.69.142 130.237.28.40 2001:6b0:1::1; do
  curl -sS -u WK: -H "X-Forwarded-For: 6.6.6.6, $client" -H 'DNT: 1' "http://$(cat "$T/port")/v1/t" \
    -d '{"userId":"u","event":"e"}' > /dev/null
done
stop collect
"$BIN/enrich" --in "log:$T/web/collected" --out "log:$T/web/enriched" --bad "log:$T/web/bad?partition=1" \
  --geoip "$T/flat4.mmdb" --geoip "$T/flat6.mmdb" --geoip "$T/nested.mmdb" --until-end 2> "$T/web.log"
"$BIN/sink" --in "log:$T/web/enriched" --until-end --to "file:$T/web/out" 2> /dev/null
is "$(cat "$T"/web/out/*.jsonl | jq -r '"\(.ip) \(.geo.city)"' | sort | tr '\n' ,)" \
  "130.237.28.40 Stockholm,2001:6b0:1::1 Uppsala,81.2.69.142 London," "the place of a client behind a proxy"

printf '1.0.16.0,1.0.31.255,13335,"Cloudflare, Inc."\n2606:4700::,2606:4700:ffff:ffff:ffff:ffff:ffff:ffff,13335,"Cloudflare, Inc."\n' > "$T/asn.csv"
run mark0
printf '%s\n' 1.0.16.1 2606:4700::1 8.8.8.8 > "$T/ips"
run text --asn "$T/asn.csv"
is "$(geo text 1.0.16.1 "$net")" "13335 Cloudflare, Inc." "a network from CSV"
is "$(geo text 2606:4700::1 "$net")" "13335 Cloudflare, Inc." "version 6"
is "$(grep -c 'event=lacks' "$T/text.log")" 0 "nothing is lacking"
like "$(cat "$T/mark0.log")" 'event=lacks .*networks are unknown: give --asn' "without --asn the log says so"
is "$(geo text 8.8.8.8 .country)" US "without --geoip: Debian's tor-geoipdb"
is "$(geo text 2606:4700::1 .country)" US "version 6"

echo "no database" > "$T/broken.mmdb"
"$BIN/enrich" --check --geoip "$T/broken.mmdb" 2> "$T/err"
is $? 78 "a broken database is a fault of the settings"
like "$(cat "$T/err")" "broken.mmdb: no MaxMind DB" "the words name it"
"$BIN/enrich" --check --geoip "$T/none.mmdb" 2> "$T/err"
[ $? != 0 ]
ok $? "a missing one too"
like "$(cat "$T/err")" "none.mmdb: No such file" "the words name it"
head -c 900 "$T/nested.mmdb" > "$T/half.mmdb"
"$BIN/enrich" --check --geoip "$T/half.mmdb" 2> "$T/err"
[ $? != 0 ]
ok $? "half a database is refused"

# Bots: mark, drop, divert
agents='Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)
Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0
Mozilla/5.0 (compatible; OurProbe/1)'
bots() {
  jq -Rc '{type: "track", event: "x", anonymousId: "a", context: {userAgent: .}}' <<< "$agents" |
    "$BIN/collect" --stdin 2> /dev/null |
    "$BIN/enrich" --bad "log:$T/bad-$1?partition=1" "${@:2}" 2> "$T/$1.log" |
    "$BIN/sink" --to "file:$T/$1" 2> /dev/null
  cat "$T/$1"/*.jsonl | jq -r 'select(.type == "track") | .agent | [.bot, .bot_category, .browser] | map(. // "-") | join(" ")' |
    tr '\n' ';'
}
is "$(bots mark)" "Bingbot search bingbot;- - Firefox;- - -;" "bots are marked"
echo '["OurProbe"]' > "$T/bots.json"
is "$(bots listed --bot-list "$T/bots.json")" "Bingbot search bingbot;- - Firefox;OurProbe - -;" "a list like isbot's"
echo '[{"pattern": "OurProbe\\/1", "tags": ["monitoring"], "instances": ["x"]}]' > "$T/bots.json"
is "$(bots tagged --bot-list "$T/bots.json")" "Bingbot search bingbot;- - Firefox;OurProbe/1 monitoring -;" \
  "a list like crawler-user-agents'"
printf 'named:\n- {pattern: ourprobe, name: Our probe, category: monitor}\n' > "$T/bots.yaml"
is "$(bots named --bot-list "$T/bots.yaml")" "Bingbot search bingbot;- - Firefox;Our probe monitor -;" "a list like ours"
is "$(bots drop --bots drop)" "- - Firefox;- - -;" "bots are dropped"
like "$(cat "$T/drop.log")" "in=3 out=2 bad=0 duplicate=0 filtered=1 pending=0" "and counted"
is "$(bots divert --bots divert)" "- - Firefox;- - -;" "bots are diverted"
like "$(cat "$T/divert.log")" "in=3 out=2 bad=1 duplicate=0 filtered=0 pending=0" "and counted"
"$BIN/enrich" --check --bots maybe 2> "$T/err"
[ $? != 0 ]
ok $? "an action that is none"
like "$(cat "$T/err")" "none of mark, drop, divert" "the words say which there are"
echo '["a("]' > "$T/bots.json"
"$BIN/enrich" --check --bot-list "$T/bots.json" 2> "$T/err"
like "$(cat "$T/err")" "bots.json:1: no regular expression, at byte 2" "a pattern that is none"

# The records are the same with and without caches.
jq -nc 'range(2000) | {type: "track", event: "x", messageId: "m\(.)", anonymousId: "a", timestamp: "2026-01-01T00:00:00Z",
  context: {ip: "\(. % 223 + 1).\(. * 7 % 256).1.1", userAgent: "Mozilla/5.0 (X11; Linux; rv:\(. % 70).0) Firefox/\(. % 70).0"}}' |
  "$BIN/collect" --stdin 2> /dev/null > "$T/collected"
"$BIN/enrich" < "$T/collected" 2> /dev/null | "$BIN/sink" --to "file:$T/kept" 2> /dev/null
"$BIN/enrich" --no-cache < "$T/collected" 2> /dev/null | "$BIN/sink" --to "file:$T/forgot" 2> /dev/null
[ -s "$T/kept/$(ls "$T/kept" | head -1)" ] &&
  cmp <(cat "$T"/kept/*.jsonl | sed 's/"logic":"[^"]*"//') <(cat "$T"/forgot/*.jsonl | sed 's/"logic":"[^"]*"//')
ok $? "caches change nothing"

# fetch-geo without npm; with it 64 MB are loaded, which is for people.
PATH=$T "$BIN/millrace" fetch-geo --dir "$T/geo" 2> "$T/err"
is $? 66 "fetch-geo without npm"
like "$(cat "$T/err")" "no npm on the PATH" "the words say so"
done_testing
