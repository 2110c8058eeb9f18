#!/bin/bash
# millrace_trigger.t - messages from the command line: list, switch, check, preview, test, log
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

home=$T/home
mkdir -p "$home/triggers" "$home/data/messages/thanks"
cat > "$home/millrace.yaml" << END
bus: log:data
sources:
  - name: web
    write_key: k1
END
trigger() { "$BIN/millrace" trigger "$@" --config "$home/millrace.yaml" 2>&1; }
is "$(trigger list | wc -l)" 1 "no triggers: a heading"
cat > "$home/triggers/thanks.yaml" << 'END'
# thank-you
enabled: no             # for now
query: loyal
channel: email
sender: "Shop <hello@shop.example>"
subject: "{{ first_name | default: 'Hello' }}, thank you"
text: "Dear {{ first_name }}"
outbox: mails
END
printf 'query: loyal\nchannel: slack\nurl: https://127.0.0.1:9/x\ntext: "{{ person }}"\n' > "$home/triggers/team.yaml"
printf 'query: loyal\nchannel: pigeon\n' > "$home/triggers/wrong.yaml"
cat > "$home/data/messages/thanks/status.json" << 'END'
{"name":"thanks","channel":"email","on":"enter","pid":1,"state":"watching","at":"2026-01-01T00:00:00.000Z","members":3,"queued":2,"query":"loyal","words":"","sent":17,"failed":1,"skipped":0,"held_out":0,"unknown":0,"dry":0}
END
like "$(trigger list)" 'team +slack +loyal +on +0 +0 +0.*thanks +email +loyal +off +off +17 +1 +2' "list"
is "$(trigger list --json | jq -c '[.name, .channel, .query, .enabled, .status.sent]' | tr '\n' ' ')" \
  '["team","slack","loyal",true,null] ["thanks","email","loyal",false,17] ["wrong","pigeon","loyal",true,null] ' "as JSON lines"
is "$(trigger enable thanks; grep -c '^enabled: yes' "$home/triggers/thanks.yaml")" 1 "enable: one line of the file"
is "$(trigger disable thanks; grep -c '^enabled: no$' "$home/triggers/thanks.yaml")" 1 "disable"
is "$(trigger disable team; tail -1 "$home/triggers/team.yaml")" "enabled: no" "a file without that line gets one"
like "$(trigger enable nobody)" 'nobody.yaml: No such file' "one that is not there"
like "$(trigger enable ../x; trigger explode thanks)" 'a name has up to 64.*wants one of: list' "wrong names and words"
is "$(trigger check thanks)$?" 0 "check: nothing to say"
like "$(trigger check wrong)" "wrong.yaml:2: channel: 'pigeon' is not one of email" "a wrong one, by its line"
trigger check wrong > /dev/null
is $? 78 "and by the status"
printf 'enabled: no\nquery: loyal\nchannel: slack\nurl: https://127.0.0.1:9/x\ntext: "{{ person"\n' > "$home/triggers/open.yaml"
like "$(trigger check open)" 'text: ' "also of one that is switched off"
rm "$home/triggers/open.yaml"
like "$(trigger preview thanks)" 'Subject: Ann, thank you' "preview of one that is switched off"
like "$(trigger preview team)" '"text":"ann"' "of a Slack post"
like "$(trigger preview thanks --person nobody)" 'nobody of that id' "a person who never came"
like "$(trigger test thanks --address me@shop.example)" 'ok' "test"
is "$(cat "$home"/mails/*.eml | tr -d '\r' | grep -cE '^(To: <me@shop.example>|Subject: Ann, thank you)')" 2 "its mail"
like "$(trigger test team --address me@shop.example)" 'address is for email' "an address is for email"
like "$(trigger test thanks --address=)" 'to whom' "an email's test wants an address"
like "$(trigger test team --address=)" '127.0.0.1 is refused' "a post's does not"
is "$(trigger log team)" "" "no log yet"
for i in 1 2 3; do echo "{\"what\":\"sent\",\"person\":\"p$i\"}"; done > "$home/data/messages/thanks/log.jsonl"
printf '{"what":"sen' >> "$home/data/messages/thanks/log.jsonl"
is "$(trigger log thanks --limit 2 | jq -r .person | tr '\n' ' ')" "p2 p3 " "the log's latest whole lines"
is "$(trigger log thanks | wc -l)" 3 "all of them"
done_testing
