#!/usr/bin/env bash
# One command, the tests: installs what they need (root, or sudo without a password), then runs the gate.
#
#   ./test/run.sh                 everything; the last line is `N passed, N failed`
#   ./test/run.sh test/shared     the same gate, tests of these files only
#
# What the gate is stands in test/gate.ts alone; `deno task ok` runs the same.
set -uo pipefail
cd "$(dirname "$0")/.."
. deploy/prepare.sh

# Without these a test is skipped and says so (and fails with CI=true), so a refused installation does not end the run.
need_programs \
  tshark=tshark dumpcap=wireshark-common capinfos=wireshark-common \
  mariadbd=mariadb-server mariadb=mariadb-client \
  java=default-jre-headless mvn=maven \
  chromium=chromium nginx=nginx-light ss=iproute2 \
  ip=iproute2 tcpreplay=tcpreplay ethtool=ethtool \
  qemu-aarch64-static=qemu-user-static /usr/aarch64-linux-gnu/lib/libc.so.6=libc6-arm64-cross \
  /usr/aarch64-linux-gnu/lib/libgcc_s.so.1=libgcc-s1-arm64-cross \
  systemd-analyze=systemd systemd-nspawn=systemd-container debootstrap=debootstrap lintian=lintian setsid=util-linux git=git curl=curl /usr/lib/python3/dist-packages/pip=python3-pip \
  /usr/lib/python3/dist-packages/yaml=python3-yaml ||
  say "going on without them"

need_deno && need_packages || { say "0 passed, 1 failed"; echo "0 passed, 1 failed"; exit 1; }
exec "$DENO" task --quiet ok "$@"
