# For scripts that need a program of another Debian than this one: it is unpacked beside the system with its own loader and
# libraries, from the mirror that apt knows. Nothing is installed or compiled.
#
#   debian RELEASE HOME PROGRAM PACKAGE...   makes HOME/<name of PROGRAM>, which starts PROGRAM (usr/bin/...) of the packages
#
# Fails with a word on standard error where that cannot be done.
debian() {
  local release=$1 home=$2 program=$3 mirror loader libraries named=''
  shift 3
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || { echo "this is no Debian" >&2; return 1; }
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Label: Debian' 2>/dev/null | head -n 1)
  [ -n "$mirror" ] || { echo "apt knows no mirror of Debian" >&2; return 1; }
  rm -rf "$home"
  mkdir -p "$home"/state/lists/partial "$home"/cache/archives/partial "$home"/root
  : >"$home/state/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" >"$home/sources.list"
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
  (
    export APT_CONFIG=$home/apt.conf
    cd "$home/cache" &&
      apt-get update -qq &&
      apt-get download -qq "$@" &&
      for package in *.deb; do dpkg-deb -x "$package" ../root || exit 1; done
  ) >&2 || { rm -rf "$home"; echo "the packages of Debian $release cannot be had" >&2; return 1; }
  # Before Debian 12 /lib is a directory of its own.
  loader=$(find "$home"/root/usr/lib "$home"/root/lib -path '*/*-linux-*/ld-linux*.so.*' 2>/dev/null | head -n 1)
  libraries=$(dirname "$loader"):$home/root/usr/lib/$(basename "$(dirname "$loader")")
  # Before Debian 12 a loader cannot pass on a name.
  "$loader" --help 2>/dev/null | grep -q -e --argv0 && named="--argv0 ${program##*/}"
  printf '#!/bin/sh\nexec "%s" %s --library-path "%s" "%s" "$@"\n' \
    "$loader" "$named" "$libraries" "$home/root/$program" >"$home/${program##*/}"
  chmod +x "$home/${program##*/}"
  rm -rf "$home/cache" "$home/state"
}
