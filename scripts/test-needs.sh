#!/usr/bin/env bash
# Makes sure that the tests have what they need: memcached and Redis (they start their own servers on free loopback ports),
# openssl (a certificate for TLS), SASL's PLAIN mechanism, PHP with php-memcached and php-memcache, and SQLite.
set -eu
# SQLite for the store on disk: Node has it from 22.13 on. Not a dependency, so that `npm ci` compiles nothing.
# Kept in .cache, so that `npm ci` does not take it away; as an optional peer of this package npm would not install it here.
if ! node -e 'process.exit(process.getBuiltinModule?.("node:sqlite") === undefined ? 1 : 0)' 2>/dev/null; then
  home=.cache/better-sqlite3
  if ! node -e 'new (require(process.argv[1]))(":memory:")' "./$home/node_modules/better-sqlite3" 2>/dev/null; then
    echo "missing: SQLite, which Node $(node --version) does not have; installing better-sqlite3 (where nothing is built for this machine it is compiled, which takes about two minutes)" >&2
    rm -rf "$home"
    mkdir -p "$home"
    echo '{ "private": true }' >"$home/package.json"
    npm install --prefix "$home" --no-audit --no-fund better-sqlite3@12 >&2
  fi
  # With the two packages that it needs: not everything that loads it looks beside where the link leads.
  for package in better-sqlite3 bindings file-uri-to-path; do
    [ -e "node_modules/$package" ] || ln -sfn "../$home/node_modules/$package" "node_modules/$package"
  done
fi

# Proxies, for the tests that go through them; those are skipped without.
bash "$(dirname "$0")/test-proxies.sh"

missing=()
command -v memcached >/dev/null 2>&1 || missing+=(memcached)
command -v redis-server >/dev/null 2>&1 || missing+=(redis-server)
command -v redis-sentinel >/dev/null 2>&1 || missing+=(redis-sentinel)
command -v openssl >/dev/null 2>&1 || missing+=(openssl)
compgen -G '/usr/lib/*/sasl2/libplain.so*' >/dev/null || compgen -G '/usr/lib*/sasl2/libplain.so*' >/dev/null || missing+=(libsasl2-modules)
# PHP with the two extensions that keep sessions on memcached. Debian loads them into PHP's command line by itself.
command -v php >/dev/null 2>&1 || missing+=(php-cli)
php -m 2>/dev/null | grep -qx memcached || missing+=(php-memcached)
php -m 2>/dev/null | grep -qx memcache || missing+=(php-memcache)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "missing: ${missing[*]}; installing with apt-get" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
  exit 0
fi
echo "The tests need these packages: ${missing[*]} (memcached 1.6 or later). Install them and run this again." >&2
exit 1
