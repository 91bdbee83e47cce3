# For scripts that need a program of Debian 13 on an older Debian: it is unpacked beside the system with its own loader and
# libraries, from the mirror that apt knows. Nothing is installed or compiled.
#
#   debian_13 HOME PROGRAM PACKAGE...   makes HOME/<name of PROGRAM>, which starts PROGRAM (usr/bin/...) of the packages
#
# Fails with a word on standard error where that cannot be done.
debian_13() {
  local home=$1 program=$2 mirror loader
  shift 2
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || { echo "this is no Debian" >&2; return 1; }
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Label: Debian' 2>/dev/null | head -n 1)
  [ -n "$mirror" ] || { echo "apt knows no mirror of Debian" >&2; return 1; }
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
  (
    export APT_CONFIG=$home/apt.conf
    cd "$home/cache" &&
      apt-get update -qq &&
      apt-get download -qq "$@" &&
      for package in *.deb; do dpkg-deb -x "$package" ../root || exit 1; done
  ) >&2 || { rm -rf "$home"; echo "Debian 13's packages cannot be had" >&2; return 1; }
  loader=$(find "$home/root/usr/lib" -name 'ld-linux*.so.*' | head -n 1)
  printf '#!/bin/sh\nexec "%s" --argv0 "%s" --library-path "%s" "%s" "$@"\n' \
    "$loader" "${program##*/}" "$(dirname "$loader")" "$home/root/$program" >"$home/${program##*/}"
  chmod +x "$home/${program##*/}"
  rm -rf "$home/cache" "$home/state"
}
