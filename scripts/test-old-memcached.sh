#!/usr/bin/env bash
# For `npm run test:all`: memcached 1.6.9, as Debian 11 has it (debian.sh), a release that is asked by older commands. Without it its tests are skipped.
set -u
cd "$(dirname "$0")/.."
. scripts/debian.sh
home=$PWD/.cache/memcached-1.6.9
[ -x "$home/memcached" ] && "$home/memcached" --version >/dev/null 2>&1 && exit 0
echo "fetching Debian 11's memcached" >&2
debian bullseye "$home" usr/bin/memcached memcached libc6 libevent-2.1-7 libsasl2-2 libssl1.1 zlib1g || echo "no memcached 1.6.9: its tests are skipped" >&2
exit 0
