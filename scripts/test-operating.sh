#!/usr/bin/env bash
# For `npm run test:all`: promtool, munin's node, monit and nginx, which test docs/guide/monitoring and docs/guide/deploying, and Chromium,
# in which the inspector's page is tested.
# Those tests are skipped without.
set -eu
missing=()
command -v promtool >/dev/null 2>&1 || missing+=(prometheus)
[ -x /usr/sbin/munin-run ] || missing+=(munin-node)
command -v monit >/dev/null 2>&1 || missing+=(monit)
command -v curl >/dev/null 2>&1 || missing+=(curl)
[ -x /usr/sbin/nginx ] || missing+=(nginx-light)
command -v chromium >/dev/null 2>&1 || missing+=(chromium)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "missing: ${missing[*]}; installing with apt-get" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 || echo "could not install ${missing[*]}: the tests of monitoring, deploying and the live page are skipped" >&2
else
  echo "missing: ${missing[*]}; without them the tests of monitoring, deploying and the live page are skipped" >&2
fi
