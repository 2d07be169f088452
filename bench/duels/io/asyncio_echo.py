#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""An echo server on asyncio's protocols; echo.h explains the protocol with load.c."""

import asyncio
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def serve():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=4096)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if sys.argv[1:] == ["--list"]:
    print(f"Python {sys.version.split()[0]}")
else:
    asyncio.run(serve())
