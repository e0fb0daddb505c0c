"""Asks a proxy for next to nothing every 20 ms and keeps the longest wait: no turn of its loop was longer than that.

Run as a process of its own, so that the loader's work is not taken for the proxy's: python -m bench.bars.prober PORT
It ends when its standard input does, and prints the number of questions and the longest wait in milliseconds.
"""

from __future__ import annotations

import select
import socket
import sys
import time

_QUESTION = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_EVERY_S = 0.02


def main(port: int) -> None:
    asked, longest_s = 0, 0.0
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        while not select.select([sys.stdin], [], [], _EVERY_S)[0]:
            at = time.perf_counter()
            connection.sendall(_QUESTION)
            if not connection.recv(4096):
                break
            asked += 1
            longest_s = max(longest_s, time.perf_counter() - at)
    print(asked, longest_s * 1e3)


if __name__ == "__main__":
    main(int(sys.argv[1]))
