#!/usr/bin/env bash
# Brings the proxies that tests run, where they can be had: twemproxy (Debian's nutcracker), and memcached 1.6.38 with its
# built-in proxy, which Debian 13 has. An older Debian gets that one from the mirror that its apt knows, unpacked beside
# the system with its own loader and libraries: nothing is installed or compiled. Without them their tests are skipped.
set -u
cd "$(dirname "$0")/.."
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
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || { say "no memcached proxy: this is no Debian"; return; }
  local mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Label: Debian' 2>/dev/null | head -n 1)
  [ -n "$mirror" ] || { say "no memcached proxy: apt knows no mirror of Debian"; return; }
  rm -rf "$home"
  mkdir -p "$home"/state/lists/partial "$home"/cache/archives/partial "$home"/root
  : >"$home/state/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$home/sources.list"
  # An apt of its own: neither the system's lists nor its packages are touched.
  cat >"$home/apt.conf" <<CONF
Dir::State "$home/state";
Dir::State::status "$home/state/status";
Dir::Cache "$home/cache";
Dir::Etc::SourceList "$home/sources.list";
Dir::Etc::SourceParts "-";
Acquire::Languages "none";
APT::Sandbox::User "";
CONF
  say "fetching Debian 13's memcached, for its proxy"
  (
    export APT_CONFIG=$home/apt.conf
    cd "$home/cache" &&
      apt-get update -qq &&
      apt-get download -qq memcached libc6 libevent-2.1-7t64 libsasl2-2 libssl3t64 zlib1g libzstd1 &&
      for package in *.deb; do dpkg-deb -x "$package" ../root || exit 1; done
  ) >&2 || { say "no memcached proxy: Debian 13's package cannot be had"; rm -rf "$home"; return; }
  local loader
  loader=$(find "$home/root/usr/lib" -name 'ld-linux*.so.*' | head -n 1)
  printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' "$loader" "$(dirname "$loader")" "$home/root/usr/bin/memcached" >"$home/memcached"
  chmod +x "$home/memcached"
  rm -rf "$home/cache" "$home/state"
  has_proxy "$home/memcached" || say "no memcached proxy: Debian 13's memcached does not run here"
}

twemproxy
memcached_proxy
exit 0
