# SPDX-License-Identifier: Apache-2.0
"""A TCP server in threads of the test itself, for byte streams without a protocol of their own."""

import socket
import threading


class Server:
    def __init__(self, port, handler):
        self.handler = handler
        self.accepted = 0
        self.sockets = []
        self.listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.sockets.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            self.handler(sock)
        except OSError:
            pass

    def close(self):
        """Closes the listener and every connection."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.sockets:
            sock.close()
