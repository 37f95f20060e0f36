#!/usr/bin/python3
"""A small web application with logins: a form, a page that greets, a session cookie. It knows nothing
of keys. application.py PORT"""
import html
import http.cookies
import http.server
import secrets
import sys
from urllib.parse import parse_qs

PASSWORDS = {"alice": "wonderland", "carol": "christmas"}
FORM = """<form method="post" action="/login">
<input name="user"> <input name="password" type="password"> <button>Log in</button>
</form>"""
sessions = {}


class Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        user = sessions.get(self.session())
        if self.path == "/":
            self.page(f"Hello, {user}." if user else "Please log in.", "" if user else FORM)
        elif self.path == "/api/me":
            self.page(f"You are {user}." if user else "You are nobody.")
        else:
            self.page("There is no such page.", status=404)

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        user, password = (form.get(name, [""])[0] for name in ("user", "password"))
        if self.path == "/logout":
            sessions.pop(self.session(), None)
            self.to_the_page("SESSION=; Path=/; Max-Age=0")
        elif self.path == "/login" and PASSWORDS.get(user) == password:
            session = secrets.token_urlsafe(16)
            sessions[session] = user
            self.to_the_page(f"SESSION={session}; Path=/; SameSite=Lax")
        else:
            self.page("That is not the password.", FORM, 403)

    def session(self):
        cookies = http.cookies.SimpleCookie(self.headers.get("Cookie", ""))
        return cookies["SESSION"].value if "SESSION" in cookies else None

    def to_the_page(self, cookie):
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def page(self, text, rest="", status=200):
        bound = self.headers.get("X-Session-Bound-To")
        text += f" (The server says that this session is bound to: {bound}.)" if bound else ""
        body = f"<!doctype html>\n<p>{html.escape(text)}</p>\n{rest}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Application).serve_forever()
