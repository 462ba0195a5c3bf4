#!/usr/bin/env bash
# Starts the PostgreSQL server the tests share, unless it runs, and prints the
# folder of its socket. Called by nextest before the tests, and by the tests
# themselves when nextest did not. The server stops by itself after 15 minutes
# without use, or with --stop; its data is thrown away with it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Below the temporary directory and not below target/: the server's user must be
# able to reach it, and a socket's path is limited to 107 bytes.
home=${TMPDIR:-/tmp}/plimsoll-postgres-$(id -u)-$(printf %s "$root" | cksum | cut -d' ' -f1)
idle_minutes=15

# PostgreSQL refuses to run as root.
as_server() {
  if [[ $(id -u) == 0 ]]; then
    setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups "$@"
  else
    "$@"
  fi
}

find_binaries() {
  local folder
  while read -r folder; do
    if [[ -x $folder/initdb && -x $folder/postgres ]]; then
      printf %s "$folder"
      return
    fi
  done < <(
    ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -rV
    dirname "$(command -v postgres || echo /nonexistent/postgres)"
  )
  echo "PostgreSQL is not installed (apt-get install postgresql); PLIMSOLL_SKIP_POSTGRES=1 skips its tests" >&2
  exit 1
}

answers() {
  "$bin/pg_isready" --quiet --host "$home" --username plimsoll
}

start() {
  rm -rf "$home/data"
  (umask 077 && mkdir "$home/data")
  if [[ $(id -u) == 0 ]]; then
    chown nobody "$home" "$home/data"
  fi
  cd "$home"
  as_server "$bin/initdb" --pgdata "$home/data" --username plimsoll --auth trust \
    --encoding UTF8 --locale C --no-sync --no-instructions >"$home/initdb.log" 2>&1 ||
    { cat "$home/initdb.log" >&2; exit 1; }
  # Nothing in here is worth keeping: no write waits for a disk.
  as_server setsid "$bin/postgres" -D "$home/data" -k "$home" \
    -c listen_addresses= -c max_connections=200 -c shared_buffers=64MB \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
    -c autovacuum=off -c max_wal_senders=0 -c wal_level=minimal \
    </dev/null >"$home/server.log" 2>&1 9>&- &
  local launched=$!
  for _ in $(seq 200); do
    answers && break
    kill -0 "$launched" 2>/dev/null || { cat "$home/server.log" >&2; exit 1; }
    sleep 0.05
  done
  answers || { echo "PostgreSQL did not start within 10 s; see $home/server.log" >&2; exit 1; }
  watch_idle </dev/null >/dev/null 2>&1 9>&- &
}

# Stops the server when nobody has used it for a while.
watch_idle() {
  local idle=0
  trap '' HUP INT
  while sleep 60 && answers; do
    if used_lately; then
      idle=0
    elif ((++idle >= idle_minutes)); then
      exec 9>"$home/lock"
      flock 9
      used_lately || stop
      break
    fi
  done
}

used_lately() {
  local others
  others=$("$bin/psql" --host "$home" --username plimsoll --dbname postgres --no-psqlrc \
    --no-align --tuples-only --command \
    "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()")
  [[ ${others:-0} != 0 || -n $(find "$home/used" -mmin -1) ]]
}

stop() {
  as_server "$bin/pg_ctl" stop --pgdata "$home/data" --mode fast --silent
  rm -rf "$home/data"
}

if [[ ${PLIMSOLL_SKIP_POSTGRES:-} == 1 ]]; then
  exit
fi
bin=$(find_binaries)
mkdir -p "$home"
if [[ $(stat -c %U "$home") != @("$(id -un)"|nobody) ]]; then
  echo "$home belongs to somebody else" >&2
  exit 1
fi
chmod 755 "$home"
exec 9>"$home/lock"
flock 9
touch "$home/used"
if [[ ${1:-} == --stop ]]; then
  if answers; then stop; fi
  exit
fi
answers || start
if [[ -n ${NEXTEST_ENV:-} ]]; then
  echo "PLIMSOLL_TEST_POSTGRES=$home" >>"$NEXTEST_ENV"
fi
echo "$home"
