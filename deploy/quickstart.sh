#!/usr/bin/env bash
# The whole path with one command: installs what is missing, starts an aggregator, enrols a sensor, sends packets
# through it, and prints the fleet, the traffic and each threat. Dashboard and API stay up until Ctrl-C.
#
#   ./deploy/quickstart.sh                   replays the bundled capture, a made-up day in a small office
#   ./deploy/quickstart.sh --capture FILE    replays any pcap or pcapng
#   ./deploy/quickstart.sh --live [IFACE]    captures (root, or dumpcap allowed to); default: that of the default route
#   --once                                   ends after printing; exit code 0 only when flows and threats came out
#   --state DIR                              keeps keys and database in DIR instead of a temporary folder
#   --json                                   prints the report as one JSON object
#   --seconds N                              with --live: how long to capture before the first report (default 20)
set -euo pipefail
started=$SECONDS
calling_folder=$PWD
cd "$(dirname "$0")/.."
. deploy/prepare.sh

fail() { # exit code, message
  printf '%sCannot start Picket%s: %s\n' "$red" "$plain" "$2" >&2
  exit "$1"
}
step() { printf '%s==%s %s\n' "$bold" "$plain" "$*" >&2; }
usage() { sed -n '5,11s/^# \{0,3\}//p' deploy/quickstart.sh; }

bold='' red='' plain=''
if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'; fi

mode=demo capture=deploy/demo/office-day.pcap interface='' once=no state='' live_seconds=20 format=()
while [ $# -gt 0 ]; do
  case $1 in
    --live)
      mode=live
      case ${2:-} in '' | -*) ;; *) interface=$2 && shift ;; esac
      ;;
    --capture)
      [ -n "${2:-}" ] || fail 2 'option "--capture" needs a file'
      mode=capture capture=$(cd "$calling_folder" && realpath -m -- "$2") && shift
      ;;
    --once) once=yes ;;
    --json) format=(--json) ;;
    --state)
      [ -n "${2:-}" ] || fail 2 'option "--state" needs a folder'
      state=$(cd "$calling_folder" && realpath -m -- "$2") && shift
      ;;
    --seconds)
      [[ ${2:-} =~ ^[1-9][0-9]{0,5}$ ]] || fail 2 "option \"--seconds\" needs a number from 1: current value is ${2:-}"
      live_seconds=$2 && shift
      ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && fail 2 "unknown option: $1" ;;
  esac
  shift
done
[ $mode = live ] || [ -r "$capture" ] || fail 3 "no such capture file, or it cannot be read: $capture"

aggregator_pid='' sensor_pid='' temporary=''
clean_up() {
  local code=$?
  trap - EXIT INT TERM
  # The sensor first, so that what it still holds reaches the aggregator.
  for pid in $sensor_pid $aggregator_pid; do
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  [ -z "$temporary" ] || rm -rf -- "$temporary"
  exit $code
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

run_side() { # side, arguments
  read_permissions "$1"
  "$DENO" run --quiet "${PERMISSIONS[@]}" "$1/main.ts" "${@:2}"
}

start_side() { # side, log file, standard output, arguments: in the background, ended by the kernel when this script is killed
  read_permissions "$1"
  setpriv --pdeathsig TERM "$DENO" run --quiet "${PERMISSIONS[@]}" "$1/main.ts" "${@:4}" >"$3" 2>"$2" </dev/null &
}

step 'preparing: tshark, Deno, packages'
need_programs tshark=tshark dumpcap=wireshark-common setpriv=util-linux ||
  say 'going on without them: flows are complete, but names seen in DNS and TLS are missing'
need_deno || exit 3
need_packages || fail 3 'the npm packages could not be fetched'

if [ -z "$state" ]; then temporary=$(mktemp -d) && state=$temporary; fi
mkdir -p -m 700 "$state/aggregator" "$state/sensor"
aggregator_log=$state/aggregator.log sensor_log=$state/sensor.log

port=$("$DENO" eval '
  const free = (port) => { try { const l = Deno.listen({ hostname: "127.0.0.1", port }); const p = l.addr.port; l.close(); return p; } catch { return 0; } };
  console.log(free(8600) || free(0));')
url=http://127.0.0.1:$port
[ "$port" = 8600 ] || say "   port 8600 is taken, using $port"

step "starting the aggregator on $url"
start_side aggregator "$aggregator_log" "$state/aggregator.out" \
  serve --state "$state/aggregator" --listen "127.0.0.1:$port"
aggregator_pid=$!
for _ in $(seq 300); do
  [ -s "$state/aggregator.out" ] && [ -s "$state/aggregator/admin.key" ] && break
  kill -0 $aggregator_pid 2>/dev/null || break
  sleep 0.1
done
if ! { kill -0 $aggregator_pid 2>/dev/null && [ -s "$state/aggregator.out" ]; }; then
  tail -n 20 "$aggregator_log" >&2
  fail 1 'the aggregator did not come up; its last lines are above'
fi

# A state folder that was used before holds an enrolled sensor already.
if [ ! -e "$state/sensor/identity.json" ] || [ ! -e "$state/enrolled" ]; then
  step 'enrolling a sensor with a one-time token'
  token=$(run_side aggregator token --state "$state/aggregator" --site quickstart --json |
    "$DENO" eval 'const text = await new Response(Deno.stdin.readable).text(); console.log(JSON.parse(text).token);')
  run_side sensor enrol --aggregator "$url" --token "$token" --name quickstart --state "$state/sensor" >"$state/enrol.out" ||
    fail 1 'the sensor could not be enrolled; the reason is above'
  : >"$state/enrolled"
fi

if [ $mode = live ]; then
  if [ -z "$interface" ]; then
    interface=$(ip -o route show default 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
    interface=${interface:-$(ip -o link show up 2>/dev/null | sed -n 's/^[0-9]*: \([^:@]*\).*/\1/p' | grep -v '^lo$' | head -n 1)}
    [ -n "$interface" ] || fail 3 'no interface found to capture from; name one: --live IFACE'
  fi
  step "capturing from $interface for $live_seconds s"
  start_side sensor "$sensor_log" "$state/sensor.out" run --state "$state/sensor" --interface "$interface" \
    --active-ms 5000 --other-idle-ms 5000 # Somebody is watching: report flows that go on soon, not after a minute.
  sensor_pid=$!
  for _ in $(seq "$live_seconds"); do
    kill -0 $sensor_pid 2>/dev/null || break
    sleep 1
  done
  if ! kill -0 $sensor_pid 2>/dev/null; then
    tail -n 20 "$sensor_log" >&2
    fail 3 'the sensor ended; its last lines are above'
  fi
else
  step "replaying $(basename "$capture") through the sensor"
  run_side sensor replay "$capture" --state "$state/sensor" --ship --again >"$state/replay.out" ||
    fail 1 'the replay failed; the reason is above'
fi

step 'what the aggregator knows'
report() { run_side aggregator report --url "$url" --key-file "$state/aggregator/admin.key" "${format[@]}" "$@"; }
# Detectors run behind the sensor's acknowledgements;
# traffic that goes on never settles, but may need a moment to come in.
settle=(--settle-ms 1500) tries=1
[ $mode != live ] || settle=() tries=10
for _ in $(seq $tries); do
  code=0
  report "${settle[@]}" >"$state/report.out" 2>"$state/report.log" || code=$?
  [ $code != 0 ] && kill -0 $aggregator_pid 2>/dev/null || break
  sleep 0.5
done
if [ -t 1 ] && [ $code = 0 ]; then report; else cat "$state/report.out"; fi
[ $code = 0 ] || cat "$state/report.log" >&2

step "done in $((SECONDS - started)) s"
[ $once = no ] || exit $code
key=$(cat "$state/aggregator/admin.key")
printf 'dashboard  %s/\nAPI        %s/api/v1  (Authorization: Bearer %s)\n' "$url" "$url" "$key"
say 'Ctrl-C ends it.'
wait $aggregator_pid || code=$?
tail -n 20 "$aggregator_log" >&2
fail 1 "the aggregator ended with exit code $code; its last lines are above"
