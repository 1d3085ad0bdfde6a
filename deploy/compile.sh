#!/usr/bin/env bash
# Builds dist/picket-sensor and dist/picket-aggregator: one file each, runtime and permissions inside.
#
#   ./deploy/compile.sh                                        for this machine
#   ./deploy/compile.sh --target aarch64-unknown-linux-gnu     for a Raspberry Pi 3, 4 or 5 with a 64-bit system
#   ./deploy/compile.sh --only picket-sensor --output DIR
#
# DENORT_BIN=FILE     the compile runtime to use instead of Deno's own download, of the same version as the Deno that compiles
# COMPILE_DENO=FILE   the Deno that compiles (default: the one deploy/prepare.sh finds)
#
# The permissions are those of the tasks "sensor" and "aggregator" in deno.json, so that both ways to run have the same.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/prepare.sh

usage() { sed -n '4,9s/^# \{0,1\}//p' deploy/compile.sh; }
target='' output=dist only=''
while [ $# -gt 0 ]; do
  case $1 in
    --target) target=${2:?Cannot compile as \"--target\" must have a value} && shift 2 ;;
    --output) output=${2:?Cannot compile as \"--output\" must have a value} && shift 2 ;;
    --only) only=${2:?Cannot compile as \"--only\" must have a value} && shift 2 ;;
    -h | --help) usage && exit ;;
    *) say "Cannot compile as the option is unknown: $1" && usage >&2 && exit 2 ;;
  esac
done

need_deno
need_packages
deno=${COMPILE_DENO:-$DENO}
# Types are the gate's business; a COMPILE_DENO of another version would judge them by its own rules.
options=(--quiet --no-check)
[ -z "$target" ] || options+=(--target "$target")
mkdir -p "$output"

for side in sensor aggregator; do
  name=picket-$side
  [ -z "$only" ] || [ "$only" = "$name" ] || continue
  read_permissions $side
  say "compiling $output/$name${target:+ for $target}"
  # A folder of its own first: a compile that fails leaves no half binary in dist.
  # A thread is a module of its own, which the compiler does not find by itself.
  includes=(--include sensor/ship/seal_worker.ts)
  [ "$side" = sensor ] || includes=(--include aggregator/store/sqlite_worker.ts)
  "$deno" compile "${options[@]}" "${PERMISSIONS[@]}" "${includes[@]}" --output "$output/.$name.part" $side/main.ts >&2
  mv "$output/.$name.part" "$output/$name"
done
