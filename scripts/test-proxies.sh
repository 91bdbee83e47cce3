#!/usr/bin/env bash
# Brings the proxies that tests run, where they can be had: twemproxy (Debian's nutcracker), and memcached 1.6.38 with its
# built-in proxy, which Debian 13 has (debian.sh). Without them their tests are skipped.
set -u
cd "$(dirname "$0")/.."
. scripts/debian.sh
home=$PWD/.cache/memcached-proxy

say() { echo "proxies: $*" >&2; }

twemproxy() {
  command -v nutcracker >/dev/null 2>&1 || [ -x /usr/sbin/nutcracker ] && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    say "no twemproxy: install nutcracker"
    return
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  apt-get install -y -qq --no-install-recommends nutcracker >&2 || say "no twemproxy: nutcracker cannot be installed"
}

# Whether a memcached has the proxy built in.
has_proxy() { "$1" -h 2>/dev/null | grep -q proxy_config; }

memcached_proxy() {
  has_proxy memcached && return
  [ -x "$home/memcached" ] && has_proxy "$home/memcached" && return
  say "fetching Debian 13's memcached, for its proxy"
  debian trixie "$home" usr/bin/memcached memcached libc6 libevent-2.1-7t64 libsasl2-2 libssl3t64 zlib1g libzstd1 || { say "no memcached proxy"; return; }
  has_proxy "$home/memcached" || say "no memcached proxy: Debian 13's memcached does not run here"
}

twemproxy
memcached_proxy
exit 0
