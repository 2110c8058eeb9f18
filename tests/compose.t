#!/bin/bash
# compose.t - docker-compose.yml and Dockerfile, as far as they can be checked without Docker
#
# Each command line in the compose file is run with --check, with the settings that stand in it;
# names that refer to something are looked up; the image has every library that the programs need.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
file=docker-compose.yml

# The settings: what is indented below `content: |`.
awk '/^ *content: \|$/ { on = 1; match($0, /^ */); depth = RLENGTH + 2; next }
  on { match($0, /^ */); if (RLENGTH < depth && NF) exit; print substr($0, depth + 1) }' \
  "$file" > "$T/settings.yaml"
like "$(cat "$T/settings.yaml")" 'bus: kafka://kafka:9092' "the settings are found"

# [a, --b, "c"] in a line to arguments, one a line.
arguments() { sed 's/^[^[]*\[//; s/\] *$//' <<< "$1" | tr ',' '\n' | sed 's/^ *//; s/ *$//; s/^"\(.*\)"$/\1/'; }
check() { # WORDS ARGUMENT..
  local words=$1
  shift
  PATH=$BIN:$PATH "$@" --check > "$T/out" 2>&1
  is "$?:$(cat "$T/out")" "0:" "$words"
}

count=0
while read -r line; do
  mapfile -t args < <(arguments "$line")
  for i in "${!args[@]}"; do
    [ "${args[$i]}" = /settings/millrace.yaml ] && args[$i]=$T/settings.yaml
  done
  [ -x "$BIN/${args[0]}" ]
  ok $? "compose: ${args[0]} is a program"
  check "compose: ${args[*]}" "${args[@]}"
  count=$((count + 1))
done < <(grep -E '^ +command: \[' "$file")
is $count "$(grep -cE '^ +command:' "$file")" "every command is a list"
ok $((count < 5)) "$count commands"
while read -r line; do
  # shellcheck disable=SC2086
  check "in the comment: $line" $line
done < <(sed -n 's/^# *docker compose exec [a-z]* \(millrace .*\)$/\1/p' "$file")

# Names: configs, volumes, hosts and what is waited for.
section() { sed -n "/^$1:/,/^[a-z]/s/^  \([a-z]*\):.*/\1/p" "$file"; }
named() { # SECTION NAMES
  local name
  for name in $2; do
    section "$1" | grep -qx "$name"
    ok $? "$name is in $1"
  done
}
named configs "$(grep -o 'source: [a-z]*' "$file" | cut -d' ' -f2 | sort -u)"
named volumes "$(grep -oE '^ +volumes: \["[a-z]+' "$file" | sed 's/.*"//')"
named services "$(grep -oE '(http|kafka)://[a-z]+:' "$file" | sed 's#.*//##; s/:$//' | sort -u)"
named services "$(grep -oE 'depends_on: \[[a-z, ]*\]' "$file" | sed 's/.*\[//; s/\]//; s/,/ /g')"
is "$(grep -oE '&[a-z]+' "$file" | tr -d '&' | sort -u)" \
  "$(grep -oE '\*[a-z]+' "$file" | tr -d '*' | sort -u)" "anchors are used, aliases are defined"

# The image: `.ci/install build` is a target, make install exists, CMD is a command.
while read -r target; do
  grep -qE "^  ([a-z]+\|)*$target(\|[a-z]+)*\)" .ci/install
  ok $? ".ci/install $target"
done < <(grep -oE '\.ci/install [a-z]+' Dockerfile | cut -d' ' -f2)
make -n install DESTDIR="$T/image" > "$T/out" 2>&1
ok $? "make install DESTDIR=.."
mapfile -t args < <(arguments "$(grep ^CMD Dockerfile)")
PATH=$BIN:$PATH "${args[@]}" > "$T/out" 2>&1
is $? 0 "CMD: ${args[*]}"
grep -qx 'build' .dockerignore
ok $? "this machine's objects stay out of the image"

# A library that is linked is in a package that the image installs, or in one that every Debian has.
# Names of Debian 12; another system has others.
if grep -q '^VERSION_ID="12"' /etc/os-release; then
  ldd "$BIN"/* | awk '$2 == "=>" { print $3 }' | sort -u > "$T/libraries"
  listed=$(sed -n '/--no-install-recommends/,/rm -rf/p' Dockerfile | tr -d '\\' | sed 's/&&.*//' |
    grep -oE '\b(lib|zlib)[a-z0-9.+-]+' | sort -u)
  direct=$(for program in "$BIN"/*; do objdump -p "$program" 2> /dev/null; done |
    awk '$1 == "NEEDED" { print $2 }' | sort -u)
  for name in $direct; do
    library=$(grep "/$name\$" "$T/libraries" | head -1)
    package=$(dpkg -S "$library" "/usr$library" 2> /dev/null | head -1 | cut -d: -f1)
    case $package in libc6|libgcc-s1|libstdc++6|lib[atu]*san*|'') continue ;; esac
    grep -qx "$package" <<< "$listed"
    ok $? "the image has $package, for $name"
  done
fi
done_testing
