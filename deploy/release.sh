#!/usr/bin/env bash
# Builds a release of the commit that is checked out, in a checkout of its own: programs, packages, what is in them.
#
#   ./deploy/release.sh                       into dist/release-VERSION/, which must not be there yet
#   ./deploy/release.sh --output DIR
#   ./deploy/release.sh --twice               builds it all a second time, and names what differs
#   ./deploy/release.sh --key FILE            signs the sensor's programs with the private release key in FILE
#   ./deploy/release.sh --target x86_64-unknown-linux-gnu      for one kind of machine only
#   ./deploy/release.sh --compression gzip    of the packages: faster, a sixth larger
#
# Out: picket-VERSION-TARGET.tar.gz (both programs, units, install.sh), .deb packages, sbom.cdx.json (CycloneDX 1.5),
# THIRD-PARTY-LICENCES.txt, SHA256SUMS over all of them. Check with: sha256sum -c SHA256SUMS
# With --key: picket-sensor-TARGET and picket-sensor-TARGET.release too, for `picket-aggregator release add`.
# Invariant: nothing that is not committed goes in; every time inside is that of the commit. No key is used that was
# not named.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/prepare.sh

usage() { sed -n '4,9s/^# \{0,1\}//p' deploy/release.sh; }
refuse() { say "Cannot release as $1" && usage >&2 && exit 2; }
fail() { say "Cannot release as $1" && exit 1; }

output='' key='' twice=no compression=xz targets='x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu'
while [ $# -gt 0 ]; do
  case $1 in
    --output | --key | --target | --compression) [ $# -gt 1 ] || refuse "\"$1\" must have a value" ;;&
    --output) output=$2 && shift 2 ;;
    --key) key=$2 && shift 2 ;;
    --target) targets=$2 && shift 2 ;;
    --compression) compression=$2 && shift 2 ;;
    --twice) twice=yes && shift ;;
    -h | --help) usage && exit ;;
    *) refuse "the option is unknown: $1" ;;
  esac
done
version=$(sed -n 's/^export const version = "\(.*\)";$/\1/p' shared/version.ts)
output=$(realpath -m "${output:-dist/release-$version}")
[ ! -e "$output" ] || refuse "\"--output\" must be a folder that is not there yet: current value is \"$output\""
if [ -n "$key" ]; then
  [ -r "$key" ] || refuse "\"--key\" must be a file that can be read: current value is \"$key\""
  key=$(realpath "$key")
fi
commit=$(git rev-parse HEAD 2>/dev/null) || refuse "this is no checkout of git"
[ -z "$(git status --porcelain)" ] || refuse "there are changes that are not committed: see git status"
need_deno
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Into the folder $2, from a checkout at $1 that has no history.
build() {
  local checkout=$1 into=$2 target arch runtime
  rm -rf "$checkout" && mkdir -p "$checkout" "$into"
  git archive "$commit" | tar -x -C "$checkout"
  (cd "$checkout" && try_again "$DENO" install --frozen --quiet) >&2 || fail "the packages of deno.json could not be fetched"
  # The times of files are inside the programs.
  find "$checkout" -exec touch -h -d @"$SOURCE_DATE_EPOCH" {} +
  runtime=$("${COMPILE_DENO:-$DENO}" --version | sed -n 's/^deno \([0-9.]*\).*/\1/p')
  for target in $targets; do
    case $target in
      x86_64-*) arch=amd64 ;;
      *) arch=arm64 ;;
    esac
    "$checkout/deploy/compile.sh" --target "$target" --output "$checkout/dist" || fail "the programs for $target were not compiled"
    "$checkout/deploy/package.sh" --arch $arch --programs "$checkout/dist" --output "$into" --compression "$compression" || fail "the packages for $arch were not built"
    pack "$checkout" "$target" "$into"
    [ -z "$key" ] || cp "$checkout/dist/picket-sensor-$target" "$into/"
  done
  (cd "$checkout" && "$DENO" run --quiet --no-prompt --allow-read deploy/sbom.ts "$version" "$SOURCE_DATE_EPOCH" "$runtime") \
    >"$into/sbom.cdx.json"
  (cd "$checkout" && "$DENO" run --quiet --no-prompt --allow-read deploy/sbom.ts "$version" "$SOURCE_DATE_EPOCH" "$runtime" --licences) \
    >"$into/THIRD-PARTY-LICENCES.txt"
  sums "$into"
}

# Of all that is in the folder $1.
sums() {
  (cd "$1" && rm -f SHA256SUMS && export LC_ALL=C && sha256sum -- * >"$work/sums" && mv "$work/sums" SHA256SUMS)
}

# With the key, by the program of the same commit.
sign() {
  local programs=()
  for target in $targets; do programs+=("$work/out/picket-sensor-$target"); done
  say "signing $version with $key"
  (cd "$work/picket" && "$DENO" run --quiet --no-prompt --allow-read --allow-write --allow-env --allow-sys aggregator/main.ts \
    release sign "${programs[@]}" --key "$key") >&2 || fail "the programs were not signed"
  sums "$work/out"
}

# One archive for a machine without apt: what install.sh needs, and what a person reads.
pack() { # checkout target into
  local name=picket-$version-$2 folder=$work/pack
  rm -rf "$folder" && mkdir -p "$folder/$name/debian"
  cp "$1"/dist/picket-*-"$2" "$1"/deploy/*.service "$1"/deploy/*.socket "$1"/deploy/install.sh "$1"/deploy/start-sensor.sh "$1"/README.md "$1"/LICENSE "$folder/$name/"
  cp "$1"/deploy/README.md "$folder/$name/OPERATING.md"
  cp "$1"/aggregator/sinks/README.md "$folder/$name/SINKS.md"
  cp -r "$1"/deploy/grafana "$1"/deploy/prometheus "$folder/$name/"
  cp "$1"/deploy/debian/*.env "$folder/$name/debian/"
  tar --sort=name --mtime=@"$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$folder" -cf - "$name" | gzip -9n >"$3/$name.tar.gz"
  rm -rf "$folder"
}

say "releasing $version of ${commit:0:12} into $output"
build "$work/picket" "$work/out"
if [ $twice = yes ]; then
  say "building it a second time"
  # In the same place: the programs hold the paths of what went in.
  build "$work/picket" "$work/again"
  if differences=$(diff "$work/out/SHA256SUMS" "$work/again/SHA256SUMS"); then
    say "both builds are the same, octet by octet"
  else
    say "the two builds differ in:"
    say "$(sed -n 's/^> [0-9a-f]* */  /p' <<<"$differences")"
    fail "two builds of one commit must be the same"
  fi
fi
[ -z "$key" ] || sign
mkdir -p "$(dirname "$output")"
mv "$work/out" "$output"
say "done: $(wc -l <"$output/SHA256SUMS") files"
cat "$output/SHA256SUMS"
