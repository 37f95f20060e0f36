/* What the parts of the shim for httpd share. */
#ifndef AUTH_BOUND_HTTPD_H
#define AUTH_BOUND_HTTPD_H

#include <apr_strings.h>
#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_auth.h>
#include <mod_core.h>
#include <util_filter.h>

#include "openssl.h"

extern module AP_MODULE_DECLARE_DATA auth_bound_module; /* in Rust, so that it alone is exported */
APLOG_USE_MODULE(auth_bound);

#define ab_auth_type "Bound"

/* Set whenever the configuration is read. All symbols are hidden but the module's. */
extern const ab_core *core;
extern ab_configuration *configuration;
/* Set in each child. */
extern ab_process *process;

/* A request: what it proved and what was decided. An internal redirect takes all of it along, as far
 * as it holds there. */
typedef struct {
    ab_binding *binding;
    ab_decision *decision;
    int authorizing;  /* the other modules' authorization is running inside of ours */
    int body_is_ours; /* the error response is the core's JSON, or the end of a gRPC call */
    int grpc;
    ab_scope *finished; /* whose headers the backend gets */
    /* Cookies: where they were opened (NULL: nowhere yet), as they came, and what came of them. */
    ab_scope *cookie_scope;
    apr_array_header_t *cookie_headers;
    ab_cookies *cookies;
    int cookie_status; /* DECLINED, or what the request was refused with */
} ab_request;

/* The words as texts, and room for one more. */
ab_text *ab_texts(apr_pool_t *pool, int count, char *const words[]);

/* The client of a request, looked at anew; NULL without TLS. */
ab_client *ab_client_of(request_rec *r);

/* The same as it was last seen. */
ab_client *ab_known_client(request_rec *r);

/* Whether mod_ssl can be believed what it says of the chain of the client's certificate. */
int ab_chain_holds(request_rec *r);

/* What holds where the request is. */
ab_scope *ab_scope_here(request_rec *r);

/* What is kept for a request, or NULL; the same, made if need be. */
ab_request *ab_request_of(request_rec *r);
ab_request *ab_make_request(request_rec *r);

/* The one that this is a redirect of, or else a part of; NULL for the client's own. */
request_rec *ab_before(request_rec *r);

/* What the request has proved by Token Binding, or NULL. */
ab_binding *ab_binding_of(request_rec *r);

/* Makes the values of a table, one name's, an array of ab_text. */
apr_array_header_t *ab_values(request_rec *r, const apr_table_t *table, const char *name);

/* Does one thing to the request. */
void ab_apply(request_rec *r, const ab_effect *effect);

/* httpd's level for one of the core's. */
int ab_level(uint32_t level);

/* Refuses by a decision that is this request's to free; NULL refuses with 500. */
int ab_refuse_by(request_rec *r, ab_decision *decision);

/* Opens the request's cookies where they have not been opened; DECLINED, or a status to refuse with. */
int ab_open_cookies(request_rec *r);

/* Has the response's cookies sealed when it passes by. */
void ab_watch_cookies(request_rec *r);

/* The endpoint of ours that a handler's name means, or 0. */
uint32_t ab_endpoint(const char *handler);

/* Puts the hooks of requests in their places. */
void ab_hook_requests(apr_pool_t *pool);
void ab_hook_cookies(void);
void ab_hook_endpoints(void);

#endif
