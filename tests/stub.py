# stub.py - an HTTP destination that misbehaves as told; notes every request as a line of JSON
#
#   stub.py PORT_FILE LOG_FILE MODE_FILE [--slow MS]
#
# The mode file holds a list of words that is read anew for each request; `N:WORD` does WORD in one of
# N requests (by count), the first word that hits wins:
#   200 429 503 500 400 401 timeout reset cut slow half redirect big
#   429 and 503 say Retry-After: 1; cut: a 200 shorter than its length; half: per-item results of
#   Mixpanel's kind, every second one failed; poison: 400 where the body has the word POISON
# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port_file, log_file, mode_file = sys.argv[1:4]
log = open(log_file, 'a', buffering=1)
lock = threading.Lock()
count = 0


def pick(body):
    global count
    with lock:
        count += 1
        n = count
    for word in open(mode_file).read().split():
        every, _, what = word.rpartition(':')
        if what == 'poison' and b'POISON' not in body:
            continue
        if not every or n % int(every) == 0:
            return what
    return '200'


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def answer(self, status, body=b'{}', headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        if self.headers.get('Content-Encoding') == 'gzip':
            body = gzip.decompress(body)
        what = pick(body)
        if what == 'slow':
            time.sleep(0.05)
            what = '200'
        taken = what in ('200', 'cut')
        with lock:
            log.write(json.dumps({
                'at': time.time(), 'what': what, 'taken': taken, 'method': self.command,
                'path': self.path, 'headers': {k.lower(): v for k, v in self.headers.items()},
                'body': body.decode('utf-8', 'replace')}) + '\n')
        if what == 'timeout':
            time.sleep(2)
            self.close_connection = True
        elif what == 'reset':
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            self.connection.close()
            self.close_connection = True
        elif what == 'cut':
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"co')
            self.close_connection = True
        elif what in ('429', '503'):
            self.answer(int(what), b'wait', [('Retry-After', '1')])
        elif what == 'redirect':
            self.answer(302, b'', [('Location', 'http://127.0.0.1:1/')])
        elif what == 'big':
            self.answer(200, b'x' * (2 << 20))
        elif what == 'poison':
            self.answer(400, b'poisoned')
        else:
            self.answer(int(what))

    do_PUT = do_PATCH = do_POST


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, address):
        pass


server = Server(('127.0.0.1', 0), Handler)
with open(port_file + '.tmp', 'w') as f:
    f.write(str(server.server_address[1]))
import os
os.rename(port_file + '.tmp', port_file)
server.serve_forever()
