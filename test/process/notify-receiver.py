# A service manager's notification socket: prints each datagram as one line of JSON. Ends with its standard input.
import json
import os
import selectors
import socket
import sys

server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
print(json.dumps("listening"), flush=True)
selector = selectors.DefaultSelector()
selector.register(server, selectors.EVENT_READ)
selector.register(sys.stdin, selectors.EVENT_READ)
while all(key.fileobj is server for key, _ in selector.select()):
    message, descriptors, _, _ = socket.recv_fds(server, 65536, 8)
    # systemd-notify waits until the descriptor it sends along (BARRIER=1) is closed.
    for descriptor in descriptors:
        os.close(descriptor)
    print(json.dumps(message.decode("utf-8", "replace")), flush=True)
