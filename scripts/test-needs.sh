#!/usr/bin/env bash
# Makes sure that the tests have what they need: memcached (they start their own servers on free loopback ports),
# openssl (a certificate for TLS) and SASL's PLAIN mechanism.
set -eu
missing=()
command -v memcached >/dev/null 2>&1 || missing+=(memcached)
command -v openssl >/dev/null 2>&1 || missing+=(openssl)
compgen -G '/usr/lib/*/sasl2/libplain.so*' >/dev/null || compgen -G '/usr/lib*/sasl2/libplain.so*' >/dev/null || missing+=(libsasl2-modules)
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
