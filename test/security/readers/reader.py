"""Says how Python reads a request's path: http.server on one port, a WSGI application on another."""

import json
import socketserver
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer


class Plain(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        split = urlsplit(self.path).path
        served = self.translate_path(self.path)[len(self.directory.rstrip("/")):] or "/"
        body = json.dumps({"split": split, "unquoted": unquote(split), "file served": served}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class ThreadingWSGIServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


def application(environ, start_response):
    path = environ["SCRIPT_NAME"] + environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"PATH_INFO": path}).encode()]


plain = ThreadingHTTPServer(("127.0.0.1", 0), Plain)
wsgi = ThreadingWSGIServer(("127.0.0.1", 0), Quiet)
wsgi.set_app(application)
threading.Thread(target=plain.serve_forever, daemon=True).start()
threading.Thread(target=wsgi.serve_forever, daemon=True).start()
print(json.dumps({"http.server": plain.server_port, "wsgiref": wsgi.server_port}), flush=True)
sys.stdin.read()
