#!/usr/bin/env bash
# Builds Debian packages: dist/picket-sensor_VERSION_ARCH.deb and dist/picket-aggregator_VERSION_ARCH.deb, without root.
#
#   ./deploy/package.sh                                 both programs, for amd64 and arm64
#   ./deploy/package.sh --arch arm64 --only picket-sensor
#   ./deploy/package.sh --programs DIR --output DIR     where deploy/compile.sh left the programs; where the packages go
#   ./deploy/package.sh --revision 2                    the same version packaged again: VERSION+2
#   ./deploy/package.sh --compression gzip              a quarter of the time, a sixth larger than xz
#
# In: compiled programs, or what deploy/compile.sh needs to make them. Out: packages; progress on standard error.
# Invariant: the same programs give the same packages, octet by octet:
# every time in them is that of the commit, or SOURCE_DATE_EPOCH.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/prepare.sh

usage() { sed -n '4,8s/^# \{0,1\}//p' deploy/package.sh; }
refuse() { say "Cannot package as $1" && usage >&2 && exit 2; }
fail() { say "Cannot package $name for $arch as $1" && exit 1; }

archs='amd64 arm64' only='' programs=dist output=dist revision='' compression=xz
while [ $# -gt 0 ]; do
  case $1 in
    --arch | --only | --programs | --output | --revision | --compression) [ $# -gt 1 ] || refuse "\"$1\" must have a value" ;;&
    --arch) archs=$2 && shift 2 ;;
    --only) only=$2 && shift 2 ;;
    --programs) programs=$2 && shift 2 ;;
    --output) output=$2 && shift 2 ;;
    --revision) revision=$2 && shift 2 ;;
    --compression) compression=$2 && shift 2 ;;
    -h | --help) usage && exit ;;
    *) refuse "the option is unknown: $1" ;;
  esac
done
case $archs in
  'amd64 arm64' | amd64 | arm64) ;;
  *) refuse "\"--arch\" must be amd64 or arm64: current value is \"$archs\"" ;;
esac
case $only in
  '' | picket-sensor | picket-aggregator) ;;
  *) refuse "\"--only\" must be picket-sensor or picket-aggregator: current value is \"$only\"" ;;
esac
case $compression in
  xz | gzip) ;;
  *) refuse "\"--compression\" must be xz or gzip: current value is \"$compression\"" ;;
esac
[[ $revision =~ ^[0-9]*$ ]] || refuse "\"--revision\" must be a number: current value is \"$revision\""
command -v dpkg-deb >/dev/null || refuse "dpkg-deb is not installed (apt: dpkg)"
mkdir -p "$output" 2>/dev/null && [ -w "$output" ] || refuse "\"--output\" must be a folder that can be written: current value is \"$output\""

version=$(sed -n 's/^export const version = "\(.*\)";$/\1/p' shared/version.ts)${revision:++$revision}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
maintainer='Picket <picket@packages.invalid>'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
need_deno

# The program for $name and $target, compiled when it is not there.
find_program() {
  program=$programs/$name-$target
  [ -x "$program" ] && return
  ./deploy/compile.sh --target "$target" --only "$name" --output "$programs" ||
    fail "its program could not be compiled, see above"
}

# One manual page: what --help says.
write_manual() { # about
  local page=$root/usr/share/man/man8/$name.8
  mkdir -p "${page%/*}"
  {
    printf '.TH %s 8 "%s" "%s"\n' "${name^^}" "$(date -u -d @"$SOURCE_DATE_EPOCH" +%F)" "Picket $version"
    printf '.SH NAME\n%s \\- %s\n.SH DESCRIPTION\n.nf\n' "$name" "$1"
    "$DENO" run --quiet --no-prompt --allow-env --allow-read "${name#picket-}/main.ts" --help | sed 's/\\/\\\\/g; s/^\./\\\&./; s/-/\\-/g'
    printf '.fi\n'
  } >"$page" || fail "its manual could not be written"
  gzip -9n "$page"
}

write_documents() {
  local folder=$root/usr/share/doc/$name
  mkdir -p "$folder" "$root/usr/share/lintian/overrides"
  cp README.md "$folder/"
  cp deploy/README.md "$folder/OPERATING.md"
  if [ "$name" = picket-aggregator ]; then
    mkdir "$folder/examples"
    cp -r deploy/grafana deploy/prometheus "$folder/examples/"
    cp aggregator/sinks/README.md "$folder/SINKS.md"
  fi
  cat >"$folder/copyright" <<EOF
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Picket

Files: *
Copyright: 2026 The Picket authors
License: Apache-2.0
 On Debian systems the whole text is in /usr/share/common-licenses/Apache-2.0.
EOF
  printf '%s (%s) stable; urgency=medium\n\n  * Version %s.\n\n -- %s  %s\n' "$name" "$version" "$version" "$maintainer" \
    "$(date -u -R -d @"$SOURCE_DATE_EPOCH")" | gzip -9n >"$folder/changelog.gz"
  cat >"$root/usr/share/lintian/overrides/$name" <<EOF
# The program's code stands behind the runtime's own symbols, where strip would cut it off.
$name: unstripped-binary-or-object [usr/bin/$name]
# It may hold passwords and keys of an API.
$name: non-standard-file-perm 0600 != 0644 [etc/picket/${name#picket-}.env]
# The runtime brings its own.
$name: embedded-library *
EOF
}

# The units, with the program where a package has it.
write_units() { # unit...
  local unit
  mkdir -p "$root/lib/systemd/system"
  for unit in "$@"; do
    sed "s,/usr/local/bin/,/usr/bin/,; s,/usr/local/lib/picket/,/usr/lib/picket-sensor/,; s,/usr/local/share/doc/picket/,/usr/share/doc/$name/," "deploy/$unit" >"$root/lib/systemd/system/$unit"
  done
}

write_control() { # depends recommends description
  local script
  mkdir -p "$root/DEBIAN" "$root/etc/picket"
  install -m 600 "deploy/debian/${name#picket-}.env" "$root/etc/picket/${name#picket-}.env"
  printf '/etc/picket/%s.env\n' "${name#picket-}" >"$root/DEBIAN/conffiles"
  for script in postinst prerm postrm; do
    sed "s/@NAME@/$name/g" "deploy/debian/$script" >"$root/DEBIAN/$script"
    chmod 755 "$root/DEBIAN/$script"
  done
  cat >"$root/DEBIAN/control" <<EOF
Package: $name
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size "$root" | cut -f1)
Depends: $1
${2:+Recommends: $2
}Section: net
Priority: optional
Description: $3
EOF
  (cd "$root" && find usr lib -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
}

for arch in $archs; do
  case $arch in
    amd64) target=x86_64-unknown-linux-gnu ;;
    arm64) target=aarch64-unknown-linux-gnu ;;
  esac
  for name in picket-sensor picket-aggregator; do
    [ -z "$only" ] || [ "$only" = "$name" ] || continue
    find_program
    root=$work/$name-$arch
    package=$output/${name}_${version}_$arch.deb
    say "packaging $package"
    mkdir -p "$root/usr/bin"
    install -m 755 "$program" "$root/usr/bin/$name"
    if [ "$name" = picket-sensor ]; then
      write_units picket-sensor.service picket-dissector.socket picket-dissector@.service
      mkdir -p "$root/usr/lib/$name"
      sed 's,/usr/local/bin/,/usr/bin/,' deploy/start-sensor.sh >"$root/usr/lib/$name/start-sensor"
      chmod 755 "$root/usr/lib/$name/start-sensor"
      write_manual 'capture traffic, turn it into flows and facts, ship them'
      write_documents
      write_control 'libc6 (>= 2.28), tshark (>= 4.0), ca-certificates' '' "network sensor of the Picket fleet
 Captures packets with dumpcap, turns them into bidirectional flows, lets tshark
 read the packets that carry meaning, each behind walls of its own, and ships
 signed batches to a Picket aggregator. It starts once it is enrolled: see
 picket-sensor enrol."
    else
      write_units picket-aggregator.service
      write_manual 'merge flows of many sensors, find and explain threats'
      write_documents
      write_control 'libc6 (>= 2.28), ca-certificates' 'tshark (>= 4.0)' "centre of a Picket fleet: flows, threats, dashboard
 Merges what several sensors saw of one flow, stores it, finds threats, explains
 each in plain words, and serves an API and a dashboard."
    fi
    # All times alike, so that the same programs give the same package.
    find "$root" -exec touch -h -d @"$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Z$compression -z1 --build "$root" "$package.part" >/dev/null || fail "dpkg-deb failed, see above"
    mv "$package.part" "$package"
    rm -rf "$root"
  done
done
