/* What the parts of the shim for NGINX share. */
#ifndef AUTH_BOUND_NGINX_H
#define AUTH_BOUND_NGINX_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "openssl.h"

#if !(NGX_HTTP_SSL)
#error "NGINX must be configured with --with-http_ssl_module"
#endif

/* Each directive by its number. */
enum {
#define AB_BOTH(number, constant, httpd, nginx, scope, sentence) AB_DIRECTIVE_##constant = number,
#define AB_NGINX AB_BOTH
#include "directives.def"
#undef AB_BOTH
#undef AB_NGINX
};

/* http{}: one reading of the configuration. */
typedef struct {
    ab_configuration *configuration;
    ab_scope *global;                     /* what http{} itself says */
    ngx_uint_t checks;                    /* whether any location checks tokens or issues them */
    ngx_http_get_variable_pt remote_user; /* NGINX's own $remote_user */
    ab_process *process;                  /* set in each worker; NULL refuses */
} ab_main;

/* http{}, a server, a location, an if or a limit_except. */
typedef struct {
    ab_configuration *configuration; /* of http{} */
    ab_scope *scope; /* while the configuration is read: NULL where it has no directive of ours */
    ngx_uint_t access;
    uint32_t endpoint; /* of ours, or 0 */
    ab_text realm;
    struct ngx_thread_pool_s *pool; /* NGINX names the type only where it has threads */
    u_char *file; /* and line of the directive that needs the others */
    ngx_uint_t line;
} ab_location;

extern ngx_module_t ngx_http_auth_bound_module;

/* The core, a static in Rust. Hidden, so that the three symbols NGINX asks for stay the only ones
 * that the module exports, and no other module's can take its place. */
extern const ab_core *const ab_nginx_core __attribute__((visibility("hidden")));
#define core ab_nginx_core /* as httpd.c calls it */

/* The log level for one of the core's. */
ngx_uint_t ab_level(uint32_t level);

/* The content handler of the endpoints. */
ngx_int_t ab_serve_endpoint(ngx_http_request_t *r);

/* Sends a response of ours. Type and body live as long as the request. */
ngx_int_t ab_respond(ngx_http_request_t *r, ngx_uint_t status, ab_text type, ab_text body);

/* Has `handler` run with `data` in the place's thread pool, then `done` in the event loop, before the
 * request goes on with its write_event_handler. NGX_AGAIN; NGX_BUSY if too many wait; or a status. */
ngx_int_t ab_wait_in_pool(ngx_http_request_t *r, void (*handler)(void *, ngx_log_t *), void (*done)(ngx_http_request_t *),
                          void *data);

/* Puts the handlers of requests in their places. */
ngx_int_t ab_handle_requests(ngx_conf_t *cf);

/* The TLS side of a connection; NULL if memory ran out. */
ab_tls *ab_tls_of(SSL *ssl);

/* What the connection has proved; NULL without TLS. */
ab_client *ab_client_of(ngx_http_request_t *r);

/* Keeps what the request has proved by Token Binding; ends it if memory ran out. */
ngx_int_t ab_keep_binding(ngx_http_request_t *r, ab_binding *binding);

/* What the request has proved by Token Binding, or NULL. */
ab_binding *ab_binding_of(ngx_http_request_t *r);

/* What came of the request's cookies, or NULL. */
ab_cookies *ab_cookies_of(ngx_http_request_t *r);

/* Opens the request's cookies where they have not been opened. NGX_DECLINED; NGX_ABORT with a refusal,
 * which is the caller's; or a status. */
ngx_int_t ab_open_cookies(ngx_http_request_t *r, ab_decision **refusal);

/* Seals the response's cookies. */
ngx_int_t ab_seal_cookies(ngx_http_request_t *r);

/* New room of zeros in a pool, which the pool ends with `end`; NULL if memory ran out. */
void *ab_keep(ngx_pool_t *pool, size_t size, ngx_pool_cleanup_pt end);

/* The newest room that ends so, or NULL. */
void *ab_kept(ngx_pool_t *pool, ngx_pool_cleanup_pt end);

/* Takes the headers out of the request that `is_one` says. */
ngx_int_t ab_remove_headers(ngx_http_request_t *r, ngx_uint_t (*is_one)(ngx_http_request_t *, const ngx_table_elt_t *));

/* Adds a header. Name and value live as long as the request. */
ngx_table_elt_t *ab_add_header(ngx_http_request_t *r, ngx_list_t *list, ngx_str_t name, ngx_str_t value);

/* The same with what the core says. */
ngx_int_t ab_add_effect(ngx_http_request_t *r, ngx_list_t *list, const ab_effect *effect);

/* The values of all headers of a list by a name in lower case; NULL if memory ran out. */
ngx_array_t *ab_values(ngx_http_request_t *r, ngx_list_t *list, const ngx_str_t *name);

/* The decision that stands for the request now, or NULL. */
ab_decision *ab_decision_of(ngx_http_request_t *r);

/* Before the directives are read: the variables that there always are. */
ngx_int_t ab_add_variables(ngx_conf_t *cf);

/* A variable for the exported name that a directive gives. */
char *ab_add_exported(ngx_conf_t *cf, ngx_str_t *name);

#endif
