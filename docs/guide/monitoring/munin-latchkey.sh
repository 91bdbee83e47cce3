#!/bin/sh
# A plugin for munin: requests that hold and wait for a session, and what went wrong.
#
# Copy it to /etc/munin/plugins/latchkey (mode 0755), and say where the metrics are in /etc/munin/plugin-conf.d/latchkey:
#   [latchkey]
#   env.url http://127.0.0.1:3000/metrics
#
#%# family=contrib
#%# capabilities=autoconf

url=${url:-http://127.0.0.1:3000/metrics}
fields='acquired_total hand_offs_total timeouts_total fenced_total lost_total unknown_total held waiting'

case ${1:-} in
autoconf)
  if curl -fsS --max-time 5 "$url" 2>/dev/null | grep -q '^latchkey_'; then echo yes; else echo "no (no latchkey at $url)"; fi
  exit 0
  ;;
config)
  echo 'graph_title Sessions of latchkey'
  echo 'graph_category webserver'
  echo 'graph_vlabel per second; held and waiting: now'
  echo 'graph_args --base 1000 -l 0'
  for field in $fields; do
    echo "$field.label $(echo "${field%_total}" | tr _ ' ')"
    case $field in *_total) printf '%s.type DERIVE\n%s.min 0\n' "$field" "$field" ;; esac
    # Each of these is a visitor who was told an error.
    case $field in timeouts_total | lost_total | unknown_total) echo "$field.warning 0.01" ;; esac
  done
  exit 0
  ;;
esac

metrics=$(curl -fsS --max-time 5 "$url") || { echo "no answer from $url" >&2; exit 1; }
for field in $fields; do
  # The sum of all managers of the process.
  echo "$metrics" | awk -v name="latchkey_$field" -v field="$field" \
    'index($1, name "{") == 1 { sum += $NF; seen = 1 } END { print field ".value " (seen ? sum : "U") }'
done
