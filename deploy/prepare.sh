# Installs what a script of this repository needs, on Debian; the other scripts source it.
#
# In: `need_programs program=package ...`, `need_deno`, `need_packages`.
# Out: the programs on PATH; `$DENO`, the deno to use.
# Invariant: nothing is installed that is already there; progress goes to standard error; a failed fetch is tried again.
# Why one file: a fresh machine is prepared in exactly one way, whoever asks.

deno_version=2.9.6
deno_floor=2.9.3
fetch_tries_max=3
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PIP_ROOT_USER_ACTION=ignore DENO_TLS_CA_STORE=${DENO_TLS_CA_STORE:-mozilla,system} DENO_NO_UPDATE_CHECK=1 DENO_NO_PROMPT=1
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }

# Runs a command up to fetch_tries_max times; networks hiccup.
try_again() {
  local attempt
  for attempt in $(seq $fetch_tries_max); do
    "$@" && return 0
    [ "$attempt" -lt $fetch_tries_max ] && say "  failed, trying again: $1" && sleep $((attempt * ${PICKET_RETRY_WAIT_S:-3}))
  done
  return 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# need_programs tshark=tshark mariadbd=mariadb-server: installs by apt the packages whose program is not on PATH.
# Files can stand for programs: /usr/aarch64-linux-gnu/lib/libc.so.6=libc6-arm64-cross.
need_programs() {
  local pair program missing=()
  for pair in "$@"; do
    program=${pair%%=*}
    command -v "$program" >/dev/null 2>&1 || [ -e "$program" ] || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null; then
    say "not installed, and there is no apt-get here: ${missing[*]}"
    return 1
  fi
  if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
    say "not installed, and installing needs root or sudo without a password: sudo apt-get install ${missing[*]}"
    return 1
  fi
  say "installing by apt: ${missing[*]}"
  install_by_apt "${missing[@]}"
}

install_by_apt() {
  local log code=0 guard=/usr/sbin/policy-rc.d guarded=no
  log=$(mktemp)
  # A database server is wanted as a program, not as a service that runs from now on.
  if [ ! -e $guard ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $guard >/dev/null && as_root chmod 755 $guard && guarded=yes
  fi
  { try_again as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
    apt_install "$@"; } >"$log" 2>&1 || code=$?
  [ $guarded = yes ] && as_root rm -f $guard
  case " $* " in *" mariadb-server "*) as_root systemctl disable mariadb >/dev/null 2>&1 || true ;; esac
  [ $code = 0 ] || { say "apt-get failed:" && tail -n 15 "$log" >&2; }
  rm -f "$log"
  return $code
}

# All at once, or else one by one, so that a package this system does not have keeps no other one out.
apt_install() {
  local install=(as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends) package code=0
  try_again "${install[@]}" "$@" && return
  for package in "$@"; do "${install[@]}" "$package" || code=1; done
  return $code
}

is_new_enough() { # deno binary
  local have
  have=$("$1" --version 2>/dev/null | sed -n 's/^deno \([0-9.]*\).*/\1/p')
  [ -n "$have" ] && [ "$(printf '%s\n' $deno_floor "$have" | sort -V | head -n 1)" = $deno_floor ]
}

# Sets DENO to one that is new enough: on PATH, fetched before, by npm, by pip, by Deno's own installer.
need_deno() {
  local way
  for way in on_path fetched by_npm by_pip by_installer by_pip_from_apt; do
    DENO=$(deno_$way) && [ -n "$DENO" ] && is_new_enough "$DENO" && break
    DENO=
  done
  if [ -z "$DENO" ]; then
    say "Cannot install Deno $deno_version: neither npm, pip nor Deno's installer worked. Install Deno >= $deno_floor and start again"
    return 1
  fi
  export DENO
  PATH=$(dirname "$DENO"):$PATH
}

deno_on_path() { command -v deno; }

deno_fetched() {
  local path
  for path in "$repository"/.cache/deno/{npm/node_modules/@deno/*/deno,pip/bin/deno,installer/bin/deno}; do
    is_new_enough "$path" && printf '%s\n' "$path" && return
  done
  return 1
}

deno_by_npm() {
  command -v npm >/dev/null || return 1
  say "fetching Deno $deno_version by npm"
  mkdir -p "$repository/.cache/deno/npm"
  try_again npm install --silent --no-audit --no-fund --prefix "$repository/.cache/deno/npm" deno@$deno_version >&2 && deno_fetched
}

deno_by_pip() {
  python3 -m pip --version >/dev/null 2>&1 || return 1
  say "fetching Deno by pip"
  try_again python3 -m pip install --quiet --upgrade --target "$repository/.cache/deno/pip" "deno>=$deno_floor" >&2 && deno_fetched
}

deno_by_installer() {
  command -v curl >/dev/null && command -v unzip >/dev/null || return 1
  say "fetching Deno $deno_version by its own installer"
  curl -fsSL --retry $fetch_tries_max --max-time 300 https://deno.land/install.sh |
    DENO_INSTALL="$repository/.cache/deno/installer" sh -s -- -y --no-modify-path v$deno_version >&2 && deno_fetched
}

deno_by_pip_from_apt() {
  need_programs /usr/lib/python3/dist-packages/pip=python3-pip >&2 && deno_by_pip
}

# The npm packages of deno.json, into node_modules.
need_packages() {
  [ -d "$repository/node_modules" ] && (cd "$repository" && "$DENO" install --cached-only --quiet) >/dev/null 2>&1 && return
  say "fetching npm packages"
  (cd "$repository" && try_again "$DENO" install --quiet) >&2
}

# Reads the permissions of the task "sensor" or "aggregator" from deno.json, the one place that lists them,
# into the array PERMISSIONS.
read_permissions() { # side
  local task
  task=$(sed -n "s|^ *\"$1\": \"deno run \(.*\) $1/main.ts\",*\$|\1|p" "$repository/deno.json")
  [ -n "$task" ] || { say "Cannot read permissions as deno.json has no task: $1"; return 1; }
  read -r -a PERMISSIONS <<<"$task"
}
