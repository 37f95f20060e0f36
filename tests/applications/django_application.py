"""An application of Django's: session, and forms with a CSRF token that must match its cookie."""

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.conf import settings

settings.configure(
    SECRET_KEY="of the tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10**5}}},
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
)

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, HttpResponseRedirect  # noqa: E402
from django.middleware.csrf import get_token, rotate_token  # noqa: E402
from django.urls import path  # noqa: E402


def login(request):
    if request.method == "GET":
        return HttpResponse(get_token(request))
    request.session.cycle_key()
    request.session["user"] = request.POST["user"]
    rotate_token(request)
    return HttpResponseRedirect("/django/page")


def page(request):
    return HttpResponse(f"hello {request.session.get('user', 'nobody')}")


def logout(request):
    request.session.flush()
    return HttpResponse("bye")


urlpatterns = [path("django/login", login), path("django/page", page), path("django/logout", logout)]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Handler(WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]

    def log_message(self, *_):
        """Nobody reads it."""


server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
server.set_app(get_wsgi_application())
server.serve_forever()
