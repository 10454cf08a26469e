#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tour.sh BIN_DIRECTORY: what ./dev run shows. Starts a msgd of its own, sends to a consumer with plain
# tools, looks at what happened, and ends everything that it started. Disturbs no msgd that runs already.
set -euo pipefail
bin=$1
port=7000

place=$(mktemp -d)
started=()
# Consumers first, msgd last; one that will not end in 10 s is made to, and named.
finish() {
    local pid i end
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do
        pid=${started[i]}
        end=$((SECONDS + 10))
        kill "$pid" 2>/dev/null || true
        while [ $SECONDS -lt $end ] && kill -0 "$pid" 2>/dev/null; do read -rt 0.02 <> <(:) || true; done
        if kill -9 "$pid" 2>/dev/null; then echo "tour: pid $pid did not end in 10 s" >&2; fi
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$place"
}
trap finish EXIT

# An ordinary user needs no option for this: $XDG_RUNTIME_DIR/msgd is where msgd and its tools meet.
export PATH=$bin:$PATH XDG_RUNTIME_DIR=$place/run XDG_STATE_HOME=$place/state
export MSGD_SOCKET=$place/run/msgd/msgd.sock
mkdir -p "$XDG_RUNTIME_DIR/msgd" "$XDG_STATE_HOME/msgd"
chmod -R go= "$place"

if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; else bold='' plain=''; fi
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# Says what is run, as one would type it, and runs it.
show() {
    printf '%s$ %s%s\n' "$bold" "$*" "$plain"
    bash -c "$*"
}

# until_true WHAT COMMAND...: waits for a condition, 10 s at most.
until_true() {
    local what=$1 end=$((SECONDS + 10))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            echo "tour: waited 10 s for $what" >&2
            cat "$place"/*.log >&2
            exit 70
        fi
        read -rt 0.02 <> <(:) || true
    done
}

has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }
answers() { msgls >/dev/null; }

title "1. msgd, started as an ordinary user would"
msgd --socket "$MSGD_SOCKET" --state "$XDG_STATE_HOME/msgd" 2>"$place/msgd.log" &
started+=($!)
until_true "msgd to answer" answers
echo "msgd runs as pid ${started[0]}; its control socket is $MSGD_SOCKET"

title "2. A consumer: registers the name \"hello\" and a port, prints what comes"
start_consumer() {
    msgrecv hello --port "$1" --json >"$place/hello" 2>"$place/hello.log" &
    consumer=$!
    started+=("$consumer")
}
attached_or_gone() { grep -q ' at ' "$place/hello.log" || ! kill -0 "$consumer"; }
start_consumer $port
until_true "the consumer" attached_or_gone
if ! grep -q ' at ' "$place/hello.log"; then
    echo "port $port is somebody's: msgd chooses one"
    start_consumer 0
    until_true "the consumer" attached_or_gone
fi
cat "$place/hello.log"
port=$(sed -n 's/.* at .*:\([0-9]*\)$/\1/p' "$place/hello.log" | head -n 1)

title "3. Anything that can send UDP reaches it"
show "echo '{\"from\": \"bash\", \"temp\": 21.5}' >/dev/udp/127.0.0.1/$port"
show "echo '{\"from\": \"netcat\"}' | nc -u -q0 127.0.0.1 $port"
show "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b\"[1, 2, 3]\", (\"127.0.0.1\", $port))'"
show "msgsend 127.0.0.1:$port '{\"from\": \"msgsend, by address\"}'"
show "msgsend hello '{\"from\": \"msgsend, by name\"}'"
show "echo 'this is not JSON' >/dev/udp/127.0.0.1/$port"

title "4. What arrived"
until_true "five messages" has_lines "$place/hello" 5
cat "$place/hello"

title "5. What msgd says: every datagram is accounted for, also the one that was not JSON"
show "msgls"
echo
show "msgls hello"

title "6. Any command is a service: text in, answer out"
printf '%s$ %s%s\n' "$bold" "msgrecv shout --exec 'tr a-z A-Z' &" "$plain"
msgrecv shout --exec 'tr a-z A-Z' 2>"$place/shout.log" &
started+=($!)
until_true "the service" grep -q ' at ' "$place/shout.log"
cat "$place/shout.log"
show "msgsend --reply shout '{\"say\": \"hello\"}'"

title "Done; everything that was started is ended."
