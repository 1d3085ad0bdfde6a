#!/bin/sh
# Starts picket-sensor for its unit: the installed program, or the one that an upgrade has put in its place.
#
#   start-sensor run        the unit's ExecStart; the words are passed on to the program
#   start-sensor ended      the unit's ExecStopPost: notes how the program ended, for the one that starts next
#
# In: the folder `slots` of the state folder: programs `a/picket-sensor` and `b/picket-sensor`, links to `a` or `b`:
# `active` is in force, `next` is to be tried, `tried` is on trial; `deadline`: seconds that a trial may take.
# Invariant: a program gets one start on trial. It alone makes itself `active`, once it captures and has checked in;
# however else it ends, the next start is of the program before. One that neither ends nor passes is killed.
# A program that somebody installs by hand is in force at once, whatever the slots hold.
# Why a shell: what brings the old program back must not be a part of the new one.
installed=/usr/local/bin/picket-sensor
slots=${PICKET_STATE:-/var/lib/picket-sensor}/slots

if [ "$1" = ended ]; then
  # The words of systemd: "watchdog", "exit-code exited 7", "signal killed SEGV".
  [ ! -L "$slots/tried" ] || printf '%s %s %s\n' "$SERVICE_RESULT" "$EXIT_CODE" "$EXIT_STATUS" >"$slots/ended"
  exit 0
fi

start_installed() {
  export PICKET_SLOT=installed
  exec "$installed" "$@"
}

cd "$slots" 2>/dev/null || start_installed "$@"

# Another program was installed since the slots were filled: it is what the machine's owner wants.
stamp=$(stat -L -c '%i %Z %s' "$installed")
if [ ! -e installed ]; then
  printf '%s\n' "$stamp" >installed
elif [ "$(cat installed)" != "$stamp" ]; then
  rm -f active next tried
  printf '%s\n' "$stamp" >installed
fi

link=active
if [ -L next ] && mv -f next tried; then
  sync .
  link=tried
  rm -f ended
fi
case $(readlink "$link") in
  a) slot=a ;;
  b) slot=b ;;
  *) start_installed "$@" ;;
esac
[ -x "$slot/picket-sensor" ] || start_installed "$@"

if [ $link = tried ]; then
  seconds=$(cat deadline 2>/dev/null)
  case $seconds in '' | *[!0-9]* | ?????*) seconds=300 ;; esac
  # $$ is this process, and the program that takes its place.
  (
    sleep "$seconds"
    [ -L tried ] && kill -KILL $$
  ) </dev/null >/dev/null 2>&1 &
fi
export PICKET_SLOT=$slot
cd / && exec "$slots/$slot/picket-sensor" "$@"
