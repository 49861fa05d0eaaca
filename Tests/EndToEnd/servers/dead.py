"""Receivers that take no mail and do not say so."""

import socket


class Deaf:
    """The backlog of each address is full, so that Linux drops every further SYN: who connects waits in vain."""

    def __init__(self, addresses, port):
        self.sockets = []
        for address in addresses:
            listener = socket.socket()
            self.sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(0)
            for _ in range(2):
                client = socket.socket()
                self.sockets.append(client)
                client.setblocking(False)
                client.connect_ex((address, port))

    def stop(self):
        for each in self.sockets:
            each.close()
