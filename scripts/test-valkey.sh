#!/usr/bin/env bash
# For `npm run test:all`: Valkey, as Debian 13 has it (debian.sh). Without it its tests are skipped.
set -u
cd "$(dirname "$0")/.."
. scripts/debian.sh
home=$PWD/.cache/valkey
command -v valkey-server >/dev/null 2>&1 && exit 0
[ -x "$home/valkey-server" ] && "$home/valkey-server" --version >/dev/null 2>&1 && exit 0
echo "fetching Debian 13's Valkey" >&2
# The server is a link to one of the tools.
debian trixie "$home" usr/bin/valkey-server valkey-server valkey-tools libatomic1 libc6 libjemalloc2 liblzf1 libssl3t64 libsystemd0 libcap2 libzstd1 zlib1g libgcc-s1 ||
  echo "no Valkey: its tests are skipped" >&2
exit 0
