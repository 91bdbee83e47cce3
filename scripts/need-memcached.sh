#!/usr/bin/env bash
# Makes sure that a memcached binary is here: the tests start their own servers on free loopback ports.
set -eu
command -v memcached >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo 'memcached is missing: installing it with apt-get' >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  apt-get install -y -qq --no-install-recommends memcached >&2
  command -v memcached >/dev/null 2>&1 && exit 0
fi
echo 'The tests need a memcached binary (1.6 or later) on PATH: install the package "memcached" and run this again.' >&2
exit 1
