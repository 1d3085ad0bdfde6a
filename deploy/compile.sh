#!/usr/bin/env bash
# Builds dist/picket-sensor-TARGET and dist/picket-aggregator-TARGET: one file each, runtime and permissions inside.
#
#   ./deploy/compile.sh                                        for this machine; dist/picket-sensor links to its own
#   ./deploy/compile.sh --target aarch64-unknown-linux-gnu     for a Raspberry Pi 3, 4 or 5 with a 64-bit system
#   ./deploy/compile.sh --only picket-sensor --output DIR
#
# DENORT_BIN=FILE      the compile runtime to use instead of Deno's own download, of the version of the Deno that
#                      compiles; DENORT_X86_64 and DENORT_AARCH64 are the same for one target each
# COMPILE_DENO=FILE    the Deno that compiles (default: the one deploy/prepare.sh finds)
#
# The permissions are those of the tasks "sensor" and "aggregator" in deno.json, so that both ways to run have the same.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/prepare.sh

usage() { sed -n '4,6s/^# \{0,1\}//p' deploy/compile.sh; }
refuse() { say "Cannot compile as $1" && usage >&2 && exit 2; }
fail() { say "Cannot compile $name for $target as $1" && exit 1; }

case $(uname -m) in
  x86_64) here=x86_64-unknown-linux-gnu ;;
  aarch64) here=aarch64-unknown-linux-gnu ;;
  *) here='' ;;
esac
target=$here output=dist only=''
while [ $# -gt 0 ]; do
  case $1 in
    --target | --output | --only) [ $# -gt 1 ] || refuse "\"$1\" must have a value" ;;&
    --target) target=$2 && shift 2 ;;
    --output) output=$2 && shift 2 ;;
    --only) only=$2 && shift 2 ;;
    -h | --help) usage && exit ;;
    *) refuse "the option is unknown: $1" ;;
  esac
done
# The machine's number in the header of an ELF file, by target.
case $target in
  x86_64-unknown-linux-gnu) machine=62 runtime=${DENORT_BIN:-${DENORT_X86_64:-}} ;;
  aarch64-unknown-linux-gnu) machine=183 runtime=${DENORT_BIN:-${DENORT_AARCH64:-}} ;;
  *) refuse "\"--target\" must be x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu: current value is \"$target\"" ;;
esac
case $only in
  '' | picket-sensor | picket-aggregator) ;;
  *) refuse "\"--only\" must be picket-sensor or picket-aggregator: current value is \"$only\"" ;;
esac
[ -z "$runtime" ] || [ -r "$runtime" ] || refuse "the compile runtime cannot be read: $runtime"
mkdir -p "$output" 2>/dev/null && [ -w "$output" ] || refuse "\"--output\" must be a folder that can be written: current value is \"$output\""

need_deno
need_packages
deno=${COMPILE_DENO:-$DENO}

for side in sensor aggregator; do
  name=picket-$side
  [ -z "$only" ] || [ "$only" = "$name" ] || continue
  read_permissions $side
  built=$output/$name-$target
  say "compiling $built"
  # Left out: what only tests and the dashboard's build import, and a file that changes with every run.
  # A thread is a module of its own, which the compiler does not find by itself.
  includes=(--exclude node_modules/.deno/.setup-cache.bin)
  for path in node_modules/{,.deno/,.deno/node_modules/}{fast-check,pure-rand,playwright-core,axe-core,esbuild,@esbuild*,preact}{,@*}; do
    [ ! -e "$path" ] || includes+=(--exclude "$path")
  done
  case $side in
    sensor) includes+=(--include sensor/ship/seal_worker.ts) ;;
    aggregator) includes+=(--include aggregator/store/sqlite_worker.ts --include aggregator/archive/archive_worker.ts) ;;
  esac
  # A part first: a compile that fails leaves no half binary.
  # Types are the gate's business; another Deno would judge them its own way.
  part=$output/.$name-$target.part
  DENORT_BIN=$runtime "$deno" compile --quiet --no-check --target "$target" "${PERMISSIONS[@]}" "${includes[@]}" \
    --output "$part" $side/main.ts >&2 ||
    { rm -f "$part"; fail "\"$deno compile\" failed, see above; without a network it needs the compile runtime in DENORT_BIN"; }
  [ "$(od -An -j18 -N2 -tu2 "$part" | tr -d ' ')" = $machine ] ||
    { rm -f "$part"; fail "the compile runtime is of another machine: $runtime"; }
  # A Deno in place of the compile runtime builds without a word, and makes a REPL.
  [ "$target" != "$here" ] || [[ $("$part" --version 2>/dev/null </dev/null) == "$name "* ]] ||
    { rm -f "$part"; fail "the result does not run as $name: is ${runtime:-the compile runtime} of the version of \"$deno\"?"; }
  mv "$part" "$built"
  [ "$target" != "$here" ] || ln -sf "$name-$target" "$output/$name"
done
