#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# test_output.sh — examples print what they say.
# Usage: test_output.sh PATH_TO_THE_WEFT_TOOL, beside whose folder that of the examples lies.
set -eu
examples=$(dirname "$1")/../examples
[ -x "$examples/futures" ] || exit 77
failed=0

# The numbers of processes, and the order of lines that are printed side by side, are left out.
settled() {
    sed 's/process [0-9][0-9]*/process N/' | case $1 in
    two_processes) sort ;;
    *) cat ;;
    esac
}

# prints NAME: compare the example's output with standard input.
prints() {
    expected=$(cat)
    found=$("$examples/$1") || { echo "$1 fails" >&2; failed=1; }
    found=$(printf '%s\n' "$found" | settled "$1")
    [ "$found" = "$expected" ] && return
    printf '%s prints:\n%s\ninstead of:\n%s\n' "$1" "$found" "$expected" >&2
    failed=1
}

prints print_numbers <<'END'
1
2
3
4
5
done
END

prints futures <<'END'
bad: there is no option -1 (Invalid argument)
bad: done 1, running 0, cancelled 0
good: done 0, running 1, cancelled 0
good, in 10 ms: Connection timed out
unwanted has ended, done 1
cancel good: 0, cancel unwanted: 1
unwanted: done 1, running 0, cancelled 1
unwanted: Operation canceled
good has called back: 203.00
good: done 1, running 0, cancelled 0
good has no error
END

prints life_cycle <<'END'
new: a function and its arguments
ready: no worker has taken it yet
running: it has come to the door
waiting for a future: its worker is free
  and has run another task: 42
ready again: the key is there, the worker busy
running again: it has the key
ended: its result is 7
END

prints process_or_thread <<'END'
after the task:    counter is 1 in process N
child: counter is 1 in process N
after the process: counter is 1 in process N
END

prints two_processes <<'END'
process-1 in process N: the sum is 499999500000
process-2 in process N: the sum is 499999500000
END

prints queue <<'END'
Data from worker
END

prints process_lock <<'END'
1 of 4 processes killed, 3500 transfers, sum 100000, repaired 1 time
END

# That it takes one second, not two, is its own to check.
"$examples/say_hello" | sed 's/[0-9.]* seconds/N seconds/' | sort | tr '\n' ',' |
    grep -qx 'Hello from 1,Hello from 2,N seconds,World from 1,World from 2,' ||
    { echo "say_hello prints something else" >&2; failed=1; }

# Right with the lock, always; wrong without it, at least now and then.
lost=0
for _ in 1 2 3 4 5 6 7 8 9 10; do
    "$examples/lock" | awk '
        { good = $4 <= $6 && $6 == 128000 && $10 == 128000; lost = $4 < $6 }
        END { exit !good ? 2 : !lost }' && { lost=1; break; } || [ $? = 1 ] || break
done
[ "$lost" = 1 ] || { echo "lock does not show what a lock is for" >&2; failed=1; }

# A table of one line for each number of tasks; the numbers are the machine's.
"$examples/cpu_bound" | awk '
    NR == 1 { good = $1 == "n" && $2 == "seconds" && $3 == "speed-up"; next }
    { good = good && NF == 3 && $1 >= 1 && $2 > 0 && $3 > 0; lines++ }
    END { exit !(good && lines >= 1) }' || { echo "cpu_bound prints no table" >&2; failed=1; }

exit "$failed"
