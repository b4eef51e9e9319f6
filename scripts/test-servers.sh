#!/usr/bin/env bash
# Provides what some tests need: PostgreSQL, MariaDB, Redis, Python's gRPC packages, PyJWT and pymacaroons, promtool, nginx and Caddy.
#
#   eval "$(scripts/test-servers.sh start)"   # prints export lines on stdout, everything else on stderr
#   npm test
#   scripts/test-servers.sh stop
#
# start    uses the servers on the standard ports that let us in; starts what is missing, on free ports and in a
#          temporary folder; as root on Debian it installs what can't be started. Exit code 1 if something is missing.
#          --private: starts its own even where others run.
# stop     stops what start started, and nothing else.
# status   says what there is.
#
# ICHOR_TEST_SERVERS_DIR names the folder of data and process ids (default: one per user in ${TMPDIR:-/tmp}).
set -uo pipefail

state=${ICHOR_TEST_SERVERS_DIR:-${TMPDIR:-/tmp}/ichor-test-servers-$(id -u)}
start_timeout_seconds=60
private=no
missing=no

main() {
  case "${1:-}" in
    start) [[ ${2:-} == --private ]] && private=yes; start ;;
    stop) stop ;;
    status) status ;;
    *) echo "usage: $0 start [--private] | stop | status" >&2; exit 2 ;;
  esac
}

start() {
  mkdir -p "$state" && chmod 755 "$state" || exit 1
  install_missing
  provide postgres POSTGRES PostgreSQL
  provide mariadb MARIADB MariaDB
  provide redis REDIS Redis
  provide_python
  provide_python_tokens
  provide_program promtool
  provide_program nginx
  provide_program caddy
  [[ $missing == no ]]
}

# provide <name> <variable> <title>: prints the URL of a server, started if need be.
provide() {
  local url
  if url=$(find_server "$1"); then
    say "$3 was there"
  elif "start_$1" && url=$(own_url "$1") && await "$1" "$url"; then
    say "$3 started"
  else
    say "$3 is missing"
    tail -n 20 "$state/$1.log" >&2 2>/dev/null
    missing=yes
    return
  fi
  echo "export ICHOR_TEST_$2_URL=$url"
}

# A server that runs already: started by us before, or anybody's on the standard port.
find_server() {
  local url
  if url=$(own_url "$1") && "answers_$1" "$url"; then echo "$url"; return; fi
  [[ $private == no ]] || return 1
  url=$("standard_$1_url")
  "answers_$1" "$url" && echo "$url"
}

provide_python() {
  if python_is_complete; then
    echo "export ICHOR_TEST_PYTHON=/usr/bin/python3"
  else
    say "Python's gRPC packages or protoc are missing"
    missing=yes
  fi
}

provide_python_tokens() {
  if python_has_token_libraries; then
    echo "export ICHOR_TEST_PYTHON_TOKENS=/usr/bin/python3"
  else
    say "PyJWT or pymacaroons is missing"
    missing=yes
  fi
}

# provide_program <name>: prints where a program is.
provide_program() {
  local found
  if found=$(program "$1"); then
    echo "export ICHOR_TEST_${1^^}=$found"
  else
    say "$1 is missing"
    missing=yes
  fi
}

# Debian keeps servers where a user's path doesn't lead.
program() { command -v "$1" || { [[ -x /usr/sbin/$1 ]] && echo "/usr/sbin/$1"; }; }

python_has_token_libraries() { /usr/bin/python3 -c 'import jwt, cryptography, pymacaroons' 2>/dev/null; }

python_is_complete() {
  /usr/bin/python3 -c 'import grpc, google.protobuf' 2>/dev/null && has protoc && has grpc_python_plugin &&
    [[ -e /usr/include/google/protobuf/any.proto ]]
}

# --- What differs between the servers -------------------------------------------------------------------------------

standard_postgres_url() { echo "postgresql://postgres@127.0.0.1:5432/postgres"; }
standard_mariadb_url() { echo "mysql://root@127.0.0.1:3306"; }
standard_redis_url() { echo "redis://127.0.0.1:6379"; }

answers_postgres() {
  [[ $("$(postgres_program psql)" -w "$1" -Atc "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user" 2>/dev/null </dev/null) == t ]]
}

answers_mariadb() {
  mariadb --no-defaults --protocol=tcp -h 127.0.0.1 -P "$(port_of "$1" 3306)" -u root -e "SELECT 1" >/dev/null 2>&1 </dev/null
}

answers_redis() {
  local reply
  exec 3<>"/dev/tcp/127.0.0.1/$(port_of "$1" 6379)" || return 1
  printf 'PING\r\n' >&3
  read -r -t 5 reply <&3
  exec 3>&-
  [[ $reply == +PONG* ]]
} 2>/dev/null

start_postgres() {
  local data=$state/postgres initdb postgres port
  initdb=$(postgres_program initdb) && postgres=$(postgres_program postgres) || return 1
  port=$(free_port)
  rm -rf "$data" && mkdir -p "$data" || return 1
  [[ $EUID != 0 ]] || chown postgres "$data" || return 1
  as_user postgres "$initdb" -D "$data" -U postgres --auth=trust --encoding=UTF8 --locale=C >"$state/postgres.log" 2>&1 || return 1
  launch postgres postgres "$postgres" -D "$data" -p "$port" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c fsync=off -c max_connections=200
  record_url postgres "postgresql://postgres@127.0.0.1:$port/postgres"
}

start_mariadb() {
  local data=$state/mariadb port user
  has mariadbd && has mariadb-install-db || return 1
  port=$(free_port)
  user=$([[ $EUID == 0 ]] && echo mysql || id -un)
  rm -rf "$data" && mkdir -p "$data" || return 1
  [[ $EUID != 0 ]] || chown mysql "$data" || return 1
  mariadb-install-db --no-defaults --user="$user" --datadir="$data" --auth-root-authentication-method=normal \
    --skip-test-db >"$state/mariadb.log" 2>&1 || return 1
  launch mariadb "" mariadbd --no-defaults --user="$user" --datadir="$data" --port="$port" \
    --bind-address=127.0.0.1 --socket="$data/mariadb.sock" --skip-log-bin --innodb-flush-log-at-trx-commit=2
  record_url mariadb "mysql://root@127.0.0.1:$port"
}

start_redis() {
  local data=$state/redis port
  has redis-server || return 1
  port=$(free_port)
  mkdir -p "$data" || return 1
  launch redis "" redis-server --bind 127.0.0.1 --port "$port" --save "" --appendonly no --dir "$data"
  record_url redis "redis://127.0.0.1:$port"
}

# Debian keeps these outside of the path.
postgres_program() {
  local found
  found=$(command -v "$1" || ls -d /usr/lib/postgresql/*/bin/"$1" 2>/dev/null | sort -V | tail -n 1)
  [[ -n $found ]] && echo "$found"
}

# --- Packages -------------------------------------------------------------------------------------------------------

install_missing() {
  local packages=()
  find_server postgres >/dev/null || postgres_program initdb >/dev/null || packages+=(postgresql)
  find_server mariadb >/dev/null || { has mariadbd && has mariadb-install-db; } || packages+=(mariadb-server)
  find_server redis >/dev/null || has redis-server || packages+=(redis-server)
  python_is_complete || packages+=(python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc libprotobuf-dev)
  python_has_token_libraries || packages+=(python3-jwt python3-cryptography python3-pymacaroons)
  program promtool >/dev/null || packages+=(prometheus)
  program nginx >/dev/null || packages+=(nginx-light)
  program caddy >/dev/null || packages+=(caddy)
  [[ ${#packages[@]} -gt 0 ]] || return
  if [[ $EUID != 0 ]] || ! has apt-get; then
    say "to be installed by hand: ${packages[*]}"
    return
  fi
  say "installing ${packages[*]}"
  without_autostart apt_install "${packages[@]}" >"$state/apt.log" 2>&1 </dev/null && return
  say "apt-get failed"
  tail -n 20 "$state/apt.log" >&2
}

apt_install() {
  local options=(-y -o DPkg::Lock::Timeout=300)
  export DEBIAN_FRONTEND=noninteractive
  apt-get "${options[@]}" update
  apt-get "${options[@]}" install --no-install-recommends "$@"
}

# Packages start their servers when installed: those would not be ours to stop. Debian asks this policy first.
without_autostart() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [[ -e $policy ]]; then "$@"; return; fi
  printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
  "$@" || status=$?
  rm -f "$policy"
  return $status
}

# --- Processes ------------------------------------------------------------------------------------------------------

# launch <name> <user or ""> <command…>: runs it in the background and records its process id with its start time.
launch() {
  local name=$1 user=$2 pid
  shift 2
  if [[ -n $user ]]; then as_user "$user" "$@"; else exec_here "$@"; fi >>"$state/$name.log" 2>&1 </dev/null &
  pid=$!
  disown "$pid"
  sleep 0.2
  echo "$pid $(start_time "$pid")" >"$state/$name.pid"
}

# Both replace the subshell that they are started in, so that its process id is the server's.
exec_here() { if [[ $BASHPID != $$ ]]; then exec setsid "$@"; else "$@"; fi; }
as_user() {
  local user=$1
  shift
  if [[ $EUID != 0 ]]; then exec_here "$@"
  elif [[ $BASHPID != $$ ]]; then exec setpriv --reuid="$user" --regid="$user" --clear-groups setsid "$@"
  else (cd / && setpriv --reuid="$user" --regid="$user" --clear-groups "$@")
  fi
}

# await <name> <url>: waits until the server answers or ends.
await() {
  local deadline=$((SECONDS + start_timeout_seconds))
  until "answers_$1" "$2"; do
    own_pid "$1" >/dev/null && ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

stop() {
  local name
  for name in redis mariadb postgres; do
    stop_own "$name"
    rm -rf "${state:?}/$name" "$state/$name".{pid,url,log}
  done
  rm -f "$state/apt.log"
  rmdir "$state" 2>/dev/null || true
}

stop_own() {
  local pid deadline=$((SECONDS + start_timeout_seconds))
  pid=$(own_pid "$1") || return 0
  # PostgreSQL waits for its clients on SIGTERM; SIGINT is its fast way.
  kill -s "$([[ $1 == postgres ]] && echo INT || echo TERM)" "$pid"
  while own_pid "$1" >/dev/null && ((SECONDS < deadline)); do sleep 0.1; done
  if own_pid "$1" >/dev/null; then kill -s KILL "$pid"; fi
  say "$1 stopped"
}

status() {
  local name url
  for name in postgres mariadb redis; do
    if own_pid "$name" >/dev/null; then echo "$name: $(own_url "$name"), started here"
    elif url=$(find_server "$name"); then echo "$name: $url, not ours"
    else echo "$name: none"
    fi
  done
  if python_is_complete; then echo "python: /usr/bin/python3"; else echo "python: incomplete"; fi
  if python_has_token_libraries; then echo "python for tokens: /usr/bin/python3"; else echo "python for tokens: incomplete"; fi
  for name in promtool nginx caddy; do echo "$name: $(program "$name" || echo none)"; done
}

record_url() { echo "$2" >"$state/$1.url"; }
own_url() { own_pid "$1" >/dev/null && cat "$state/$1.url" 2>/dev/null; }

# The process that we started, if it still is that one: ids are used again.
own_pid() {
  local pid since
  read -r pid since <"$state/$1.pid" && [[ $(start_time "$pid") == "$since" ]] && echo "$pid"
} 2>/dev/null

start_time() {
  if [[ -d /proc/self ]]; then sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f20
  else ps -o lstart= -p "$1"
  fi
} 2>/dev/null

# --- Small things ---------------------------------------------------------------------------------------------------

free_port() {
  node -e 'const s = require("node:net").createServer(); s.listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}

port_of() { sed -En 's|^[a-z]+://[^/]*:([0-9]+).*|\1|p' <<<"$1" | grep . || echo "$2"; }
has() { command -v "$1" >/dev/null; }
say() { echo "test-servers: $*" >&2; }

main "$@"
