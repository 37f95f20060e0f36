"""An application with the session cookie that Java's servers have: logs users in, greets them."""

import sys

import cherrypy


class Application:
    @cherrypy.expose
    def login(self, user):
        cherrypy.session.regenerate()
        cherrypy.session["user"] = user
        raise cherrypy.HTTPRedirect("/java/page")

    @cherrypy.expose
    def page(self):
        return f"hello {cherrypy.session.get('user', 'nobody')}"

    @cherrypy.expose
    def logout(self):
        cherrypy.lib.sessions.expire()
        return "bye"


cherrypy.config.update({
    "server.socket_host": "127.0.0.1",
    "server.socket_port": int(sys.argv[1]),
    "server.thread_pool": 16,
    "environment": "production",
})  # fmt: skip
cherrypy.quickstart(
    Application(), "/java", {"/": {"tools.sessions.on": True, "tools.sessions.name": "JSESSIONID"}}
)
