#!/usr/bin/env bash
# Runs a command and shows one line with a clock, its output in a file that is named if it fails.
#
#   scripts/with-clock.sh "building" target/logs/build.log cargo build --release
#
# On a terminal the line is updated in place; elsewhere there is a line at the start and one at the
# end, and with CI=true one every minute, for those who end what is silent. Passes the command's
# exit code on; ends with it when interrupted. With VERBOSE=1 the output is shown as it comes, too.
set -euo pipefail

if [ "$#" -lt 3 ]; then
    echo "usage: with-clock.sh WHAT LOG COMMAND [ARGUMENT]..." >&2
    exit 2
fi
what=$1
log=$2
shift 2
mkdir -p "$(dirname "$log")"
started=$SECONDS

clock() {
    local seconds=$((SECONDS - started))
    printf '%d:%02d' $((seconds / 60)) $((seconds % 60))
}

if [ "${VERBOSE:-}" = 1 ]; then
    "$@" 2>&1 | tee "$log"
    exit "${PIPESTATUS[0]}"
fi

# Job control gives the command a process group of its own, so that all of it can be ended.
set -m
"$@" >"$log" 2>&1 </dev/null &
child=$!
set +m
trap 'kill -TERM -- "-$child" 2>/dev/null || true' INT TERM HUP

if [ -t 2 ]; then
    while kill -0 "$child" 2>/dev/null; do
        printf '\r\033[K%s  %s' "$what" "$(clock)" >&2
        sleep 0.5
    done
    printf '\r\033[K' >&2
else
    printf '%s ...\n' "$what" >&2
    spoken=0
    while [ "${CI:-}" = true ] && kill -0 "$child" 2>/dev/null; do
        sleep 0.5
        if [ $(((SECONDS - started) / 60)) -gt "$spoken" ]; then
            spoken=$(((SECONDS - started) / 60))
            printf '%s  %s ...\n' "$what" "$(clock)" >&2
        fi
    done
fi

code=0
wait "$child" || code=$?
# A signal ends the wait before the command has ended.
while kill -0 "$child" 2>/dev/null; do
    wait "$child" || code=$?
done
if [ "$code" -eq 0 ]; then
    printf '%s  ok  %s\n' "$what" "$(clock)" >&2
else
    printf '%s  failed (exit code %d)  %s\n' "$what" "$code" "$(clock)" >&2
    printf 'the last lines of %s:\n' "$log" >&2
    tail -n 20 "$log" | sed 's/^/  /' >&2
    # Tests that failed stand far above the end where others ran after them.
    if grep -q 'panicked at' "$log"; then
        printf 'what failed in it:\n' >&2
        grep -E -A 12 'panicked at' "$log" | grep -vE '^ +(at|[0-9]+:) ' | cut -c 1-600 |
            tail -n 120 | sed 's/^/  /' >&2
    fi
fi
exit "$code"
