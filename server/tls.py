"""A TLS connection with the methods of a non-blocking socket that `connection` uses."""

import socket
import ssl


class TlsSocket:
    """The server's side of a TLS connection. The handshake is part of the first reads."""

    def __init__(self, accepted: socket.socket, context: ssl.SSLContext) -> None:
        self.wants_write = False
        """Whether the last call has to wait until the socket is writable, whatever it was."""

        self._socket = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        self.is_handshaking = True

    def recv(self, size: int) -> bytes:
        """Read decrypted data; raise BlockingIOError if there is none yet. Empty at the end."""
        self.wants_write = False
        try:
            if self.is_handshaking:
                self._socket.do_handshake()
                self.is_handshaking = False
            return self._socket.recv(size)
        except ssl.SSLWantReadError as error:
            raise BlockingIOError from error
        except ssl.SSLWantWriteError as error:
            self.wants_write = True
            raise BlockingIOError from error

    def send(self, data: memoryview) -> int:
        """Encrypt and send a part of the data; raise BlockingIOError if none can be sent yet."""
        try:
            return self._socket.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error

    def fileno(self) -> int:
        """The file descriptor."""
        return self._socket.fileno()

    def shutdown(self, how: int) -> None:
        """Close one side of the TCP connection."""
        self._socket.shutdown(how)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
