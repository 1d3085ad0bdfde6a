#!/usr/bin/env bash
# Installs one program of Picket as a service, on a system with systemd but no apt; with apt, use the package.
#
#   sudo ./deploy/install.sh sensor|aggregator                the program from beside this script, or from dist/
#   sudo ./deploy/install.sh sensor --program FILE
#   sudo ./deploy/install.sh sensor --uninstall [--purge]     --purge removes key, spool, database and settings too
#
# Out: /usr/local/bin/picket-SIDE, its units in /etc/systemd/system, settings in /etc/picket/SIDE.env; for a sensor
# also /usr/local/lib/picket/start-sensor, which its unit starts.
# Installing again is an upgrade: settings and state stay, a running service is restarted.
set -euo pipefail
folder=$(cd "$(dirname "$0")" && pwd)

say() { printf '%s\n' "$*" >&2; }
usage() { sed -n '4,6s/^# \{0,1\}//p' "$folder/install.sh"; }
refuse() { say "Cannot install as $1" && usage >&2 && exit 2; }
missing() { say "Cannot install as $1" && exit 3; }

side='' program='' uninstall=no purge=no
while [ $# -gt 0 ]; do
  case $1 in
    sensor | aggregator) side=$1 && shift ;;
    --program) [ $# -gt 1 ] || refuse "\"$1\" must have a value"; program=$2 && shift 2 ;;
    --uninstall) uninstall=yes && shift ;;
    --purge) purge=yes && shift ;;
    -h | --help) usage && exit ;;
    *) refuse "the option is unknown: $1" ;;
  esac
done
[ -n "$side" ] || refuse "it must be told which: sensor or aggregator"
[ "$(id -u)" = 0 ] || missing "it must run as root: sudo $0 $side"
[ -d /run/systemd/system ] || missing "this system does not run systemd: run picket-$side by other means, see its --help"
name=picket-$side
case $side in
  sensor) units='picket-sensor.service picket-dissector.socket picket-dissector@.service' ;;
  aggregator) units=picket-aggregator.service ;;
esac
settings=/etc/picket/$side.env

remove() {
  local unit
  systemctl disable --now "$name.service" 2>/dev/null || true
  for unit in $units; do rm -f "/etc/systemd/system/$unit"; done
  rm -f "/usr/local/bin/$name"
  if [ $side = sensor ]; then
    rm -f /usr/local/lib/picket/start-sensor
    rmdir --ignore-fail-on-non-empty /usr/local/lib/picket 2>/dev/null || true
  fi
  systemctl daemon-reload
  if [ $purge = yes ]; then
    rm -rf "/var/lib/$name" "/var/lib/private/$name" "/var/cache/$name" "/var/cache/private/$name" "$settings"
    rmdir --ignore-fail-on-non-empty /etc/picket 2>/dev/null || true
    say "$name is gone, with all it had"
  else
    say "$name is gone; key, data and settings are left: --purge removes them"
  fi
}

find_program() {
  local candidate machine
  machine=$(uname -m)
  for candidate in "$program" "$folder/$name" "$folder/$name-$machine-unknown-linux-gnu" \
    "$folder/../dist/$name-$machine-unknown-linux-gnu"; do
    [ -n "$candidate" ] && [ -f "$candidate" ] && program=$candidate && return
    [ -z "$program" ] || missing "there is no such file: $program"
  done
  missing "the program for $machine is neither beside this script nor in dist/: build it with deploy/compile.sh, or name it with --program"
}

if [ $uninstall = yes ]; then
  remove
  exit
fi
[ $purge = no ] || refuse "\"--purge\" goes with \"--uninstall\""
find_program
"$program" --version >/dev/null 2>&1 || missing "this program does not run on this machine: $program"
if [ $side = sensor ] && ! command -v dumpcap >/dev/null; then
  missing "dumpcap is not installed: install tshark first (Debian: tshark; Fedora, Arch, openSUSE: wireshark-cli, wireshark)"
fi
if [ $side = sensor ] && ! command -v tshark >/dev/null; then
  say "tshark is not installed: flows will be complete, but have no facts"
fi

install -d -m 755 /usr/local/bin /etc/picket
# Beside it first: a program that runs cannot be written over, and a copy that fails leaves the old one.
install -m 755 "$program" "/usr/local/bin/.$name.part"
mv "/usr/local/bin/.$name.part" "/usr/local/bin/$name"
if [ $side = sensor ]; then
  install -d -m 755 /usr/local/lib/picket
  install -m 755 "$folder/start-sensor.sh" /usr/local/lib/picket/start-sensor
fi
for unit in $units; do install -m 644 "$folder/$unit" "/etc/systemd/system/$unit"; done
[ -e "$settings" ] || install -m 600 "$folder/debian/$side.env" "$settings"
systemctl daemon-reload
systemctl --quiet enable "$name.service"
systemctl try-restart "$name.service"
systemctl start "$name.service"
if [ $side = sensor ] && [ ! -e /var/lib/picket-sensor/identity.json ]; then
  say "picket-sensor is installed. Next: picket-sensor enrol --aggregator URL --token TOKEN, then systemctl start picket-sensor"
else
  say "$name is installed and $(systemctl is-active "$name.service" || true)"
fi
