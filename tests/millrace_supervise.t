#!/bin/bash
# millrace_supervise.t - the supervisor against programs that misbehave on purpose
#
# millrace looks for programs beside itself, so a copy of it in a directory of scripts supervises
# those. What real programs do under it is in millrace_cli.t and flow_demo.t.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

bin=$T/bin
home=$T/home
mkdir -p "$bin" "$home/destinations"
cp "$BIN/millrace" "$bin/millrace"
# Ports that are free, since up looks at them.
printf 'bus: log:data\nsources:\n  - {name: web, write_key: wk}\n%s\n%s\n' 'collect: {listen: "127.0.0.1:0"}' \
  'aggregate: {http: "127.0.0.1:0"}' > "$home/millrace.yaml"
printf 'type: file\npath: out\n' > "$home/destinations/a.yaml"

# steady NAME [BODY]: a script that notes its start and its TERM, and does BODY at the start
steady() {
  cat > "$bin/$1" << END
#!/bin/bash
trap 'echo "$1 term" >> $T/notes; kill \$!; exit 0' TERM
trap 'echo "$1 hup" >> $T/notes' HUP
case " \$* " in *" --until-end "*) echo "$1 drain" >> $T/notes; exit 0 ;; esac
echo "$1 \$*" >> $T/notes.args
echo "$1 start" >> $T/notes
$2
while :; do sleep 1 & wait \$!; done
END
  chmod +x "$bin/$1"
}

fresh() {
  local name
  rm -f "$T/notes" "$T/notes.args" "$T/up.log" "$T/up.out"
  for name in collect enrich aggregate sink; do steady $name; done
}

noted() { grep -qx "$1" "$T/notes"; }
notes() { grep -cx "$1" "$T/notes" 2> /dev/null; }
all_start() { [ "$(grep -c ' start$' "$T/notes" 2> /dev/null)" -ge "${1:-4}" ]; }
no_child() { ! pgrep -f "$bin/(collect|enrich|aggregate|sink) " > /dev/null; }

fresh
start up "$bin/millrace" up --config "$home/millrace.yaml"
wait_for 10 all_start
ok $? "all four start"
like "$(grep ^sink "$T/notes.args")" \
  "--in log:$home/data/enriched --bad log:$home/data/bad.partition=2[+] --to file:$home/out --revision " "a sink gets its topic and directory"
like "$(grep ^collect "$T/notes.args")" "--bus log:$home/data --listen 127.0.0.1:0 " \
  "collect gets bus and address"
stop up TERM
is $? 0 "up ends with 0"
wanted='collect term|enrich term|enrich drain|aggregate term|sink term|aggregate drain|sink drain'
got=$(grep -v start "$T/notes" | tr '\n' '|')
# The readers stop side by side; sort them.
is "$(cut -d'|' -f1-3 <<< "$got")" "collect term|enrich term|enrich drain" \
  "collect stops first, then enrich stops and is drained"
is "$(cut -d'|' -f4- <<< "$got" | tr '|' '\n' | sort | grep . | paste -sd'|')" \
  "aggregate drain|aggregate term|sink drain|sink term" "then those that read what it wrote"
[ ${#got} -eq $((${#wanted} + 1)) ]
ok $? "and nothing else happens"

fresh
steady enrich 'exit 3'
start up "$bin/millrace" up --config "$home/millrace.yaml"
dies() { [ "$(notes 'enrich start')" -ge "$1" ]; }
wait_for 10 dies 4
ok $? "one that dies is started again"
is "$(grep -o 'name=enrich pid=[0-9]* status=3 .*again_ms=[0-9]*' "$T/up.log" | head -4 |
  sed 's/.*again_ms=//' | paste -sd' ')" "100 200 400 800" "... later each time"
is "$(notes 'collect start')" 1 "... and the others stay"
steady enrich
wait_for 10 grep -qx "enrich start" <(tail -1 "$T/notes")
kill -HUP "${tap_pid[up]}"
wait_for 5 noted 'collect hup'
ok $? "HUP is passed on"
printf 'type: file\npath: elsewhere\n' > "$home/destinations/b.yaml"
printf 'type: file\npath: out\nenabled: no\n' > "$home/destinations/a.yaml"
before=$(notes 'collect start')
kill -HUP "${tap_pid[up]}"
wait_for 5 grep -q "sink .*--to file:$home/elsewhere --revision " "$T/notes.args"
ok $? "HUP starts a new destination"
wait_for 5 noted 'sink term'
ok $? "... and stops one that was switched off"
printf 'type: teleport\n' > "$home/destinations/b.yaml"
printf 'type: file\npath: out\n' > "$home/destinations/a.yaml"
kill -HUP "${tap_pid[up]}"
wait_for 5 grep -qE "sink .*--to b( |$)" "$T/notes.args"
ok $? "another type is the sink's to judge, by its name"
wait_for 5 sh -c "[ \$(grep -c 'file:$home/out' $T/notes.args) = 2 ]"
ok $? "... and the others go on"
echo 'bus: [' > "$home/millrace.yaml"
kill -HUP "${tap_pid[up]}"
wait_for 5 grep -q "going on as before" "$T/up.log"
ok $? "a file that cannot be read changes nothing"
is "$(notes 'collect start')" "$before" "collect never restarted"
printf 'bus: log:data\n%s\n%s\n' 'collect: {listen: "127.0.0.1:0"}' 'aggregate: {http: "127.0.0.1:0"}' > "$home/millrace.yaml"
rm "$home/destinations/b.yaml"
stop up TERM
is $? 0 "up ends with 0"

fresh
steady collect 'trap "" TERM'
start up "$bin/millrace" up --config "$home/millrace.yaml" --stop-after 300ms
wait_for 10 all_start
stop up TERM
is $? 0 "one that ignores TERM does not hold up the end"
like "$(grep event=kill "$T/up.log")" "name=collect" "... it is killed"
noted 'sink drain'
ok $? "... and the rest is drained"

fresh
steady aggregate 'echo "my words" >&2; exit 78'
timeout 20 "$bin/millrace" up --config "$home/millrace.yaml" 2> "$T/up.log"
is $? 78 "a program that refuses its settings at the start stops all, with 78"
like "$(tail -1 "$T/up.log")" "aggregate refuses its settings" "... in words"
grep -qx "my words" "$T/up.log"
ok $? "... its own line is in the one log, as it was"
wait_for 5 no_child
ok $? "... and nothing stays behind"

fresh
start up "$bin/millrace" up --config "$home/millrace.yaml"
wait_for 10 all_start
"$bin/millrace" up --config "$home/millrace.yaml" 2> "$T/second"
is $? 75 "a second up on the same data is refused"
like "$(cat "$T/second")" "runs already on $home/data \(pid ${tap_pid[up]}\)" "... with the pid"
stop up KILL
wait_for 5 no_child
ok $? "kill -9 of the supervisor takes its programs along"
rm "$T/notes"
start up "$bin/millrace" up --config "$home/millrace.yaml"
wait_for 10 all_start
ok $? "... and a new up works"
"$bin/millrace" down --config "$home/millrace.yaml"
is $? 0 "down stops it"
wait "${tap_pid[up]}"
is $? 0 "... in order"
unset 'tap_pid[up]'
like "$("$bin/millrace" down --config "$home/millrace.yaml")" "does not run on $home/data" \
  "a second down says that none runs"

fresh
steady collect 'trap "" TERM'
start up "$bin/millrace" up --config "$home/millrace.yaml" --stop-after 60s
wait_for 10 all_start
kill -TERM "${tap_pid[up]}"
wait_for 5 grep -q event=stop "$T/up.log"
kill -TERM "${tap_pid[up]}"
wait_for 5 noted 'collect start'
kill -0 "${tap_pid[up]}"
ok $? "TERM twice at once, as GNU timeout sends it, is one"
ends() { kill -INT "${tap_pid[up]}"; [ ! -e "/proc/${tap_pid[up]}/exe" ]; }
wait_for 5 ends
ok $? "a second signal, after a second, ends it at once"
stop up INT
is $? 75 "... with 75"
wait_for 5 no_child
ok $? "... with all programs"

rm "$bin/enrich"
PATH=/usr/bin:/bin timeout 20 "$bin/millrace" up --config "$home/millrace.yaml" 2> "$T/up.log"
is $? 78 "a program that is not there stops all"
like "$(tail -1 "$T/up.log")" "enrich cannot be run" "... in words"
done_testing
