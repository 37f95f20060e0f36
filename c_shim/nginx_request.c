/* Requests in NGINX: headers in, the decision, headers out.
 *
 * Phases: POST_READ strips what only we may say and verifies the Token Binding message, once per
 * request. PREACCESS tells the backend of the client's keys. ACCESS decides, before the other modules, so that they know who asks;
 * under `satisfy any` a refusal is put off until they all have refused. Subrequests are not
 * checked: NGINX skips their access phase for every module, and what they may see was decided for
 * the request they belong to. */

#include "nginx.h"

/* What is kept for a request, in a cleanup of its pool: internal redirects forget r->ctx. The
 * newest one counts; older ones stay, since others may point to their strings. */
typedef struct {
    ab_decision *decision;
    ab_scope *scope;        /* where it was made; another scope decides anew */
    unsigned waiting : 1;   /* a thread works on the decision: hands off */
    unsigned concluded : 1; /* it stands, and is exported or logged */
    unsigned grpc : 1;      /* a refusal that ends a gRPC call */
} decided;

static ngx_http_output_header_filter_pt next_header_filter;

/* --- headers --- */

static ngx_uint_t is_ours(ngx_http_request_t *r, const ngx_table_elt_t *header)
{
    ab_main *http = ngx_http_get_module_main_conf(r, ngx_http_auth_bound_module);
    return core->strips(http->configuration, (char *)header->key.data, header->key.len) != 0;
}

/* A request header that the location asks for whatever is decided: of the client's certificate,
 * of its Token Binding. 0 when there is no more. */
static int client_header(ngx_http_request_t *r, size_t index, ab_effect *effect)
{
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    ab_client *client = ab_client_of(r);
    const ab_binding *binding = ab_binding_of(r);
    size_t count = 0;

    while (core->client_header(place->configuration, place->scope, client, count, effect))
        if (count++ == index)
            return 1;
    for (size_t i = 0; core->binding_configured(place->configuration, place->scope, binding, i, effect); i++)
        if (effect->target == AB_REQUEST_HEADER && count++ == index)
            return 1;
    return 0;
}

/* Makes the request headers of ours those of this location and this decision, if any. */
static ngx_int_t export_headers(ngx_http_request_t *r, const ab_decision *decision)
{
    ab_effect effect;

    if (ab_remove_headers(r, is_ours) != NGX_OK)
        return NGX_ERROR;
    for (size_t i = 0; client_header(r, i, &effect); i++)
        if (ab_add_effect(r, &r->headers_in.headers, &effect) != NGX_OK)
            return NGX_ERROR;
    for (size_t i = 0; core->decision_effect(decision, i, &effect); i++)
        if (effect.target == AB_REQUEST_HEADER && ab_add_effect(r, &r->headers_in.headers, &effect) != NGX_OK)
            return NGX_ERROR;
    return NGX_OK;
}

/* --- the decision --- */

static void free_decision(void *data) { core->decision_free(((decided *)data)->decision); }

static decided *newest(ngx_http_request_t *r) { return ab_kept(r->pool, free_decision); }

ab_decision *ab_decision_of(ngx_http_request_t *r)
{
    decided *own = newest(r);
    return own && own->concluded ? own->decision : NULL;
}

/* Keeps a decision for the request. */
static decided *keep(ngx_http_request_t *r, ab_decision *decision, ab_scope *scope)
{
    decided *own = ab_keep(r->pool, sizeof(*own), free_decision);

    if (!own) {
        core->decision_free(decision);
        return NULL;
    }
    own->scope = scope;
    own->decision = decision;
    return own;
}

static decided *decide(ngx_http_request_t *r)
{
    ab_main *http = ngx_http_get_module_main_conf(r, ngx_http_auth_bound_module);
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    ngx_table_elt_t *header = r->headers_in.authorization; /* NGINX refuses a second one itself */
    ab_text authorization = {header ? (char *)header->value.data : NULL, header ? header->value.len : 0};

    return keep(r,
                core->decide(http->process, http->configuration, place->scope, ab_client_of(r), ab_binding_of(r),
                             &authorization, header != NULL, place->realm),
                place->scope);
}

static void wait_for_keys(void *own, ngx_log_t *log) { core->decision_wait(((decided *)own)->decision); }

static void decided_now(ngx_http_request_t *r)
{
    for (ngx_pool_cleanup_t *kept = r->pool->cleanup; kept; kept = kept->next)
        if (kept->handler == free_decision)
            ((decided *)kept->data)->waiting = 0;
}

static ngx_int_t wait_in_pool(ngx_http_request_t *r, decided *own)
{
    ngx_int_t status = ab_wait_in_pool(r, wait_for_keys, decided_now, own);
    own->waiting = status == NGX_AGAIN;
    return status;
}

/* Whether NGINX is to make the response: with the operator's own error page (the condition is
 * that of ngx_http_special_response_handler), after auth_delay, or with another module's status. */
static ngx_uint_t is_for_nginx(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_http_core_loc_conf_t *place = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if ((r->access_code && r->access_code != status) || (place->auth_delay && status == NGX_HTTP_UNAUTHORIZED))
        return 1;
    if (r->error_page || !place->error_pages || r->uri_changes == 0)
        return 0;
    ngx_http_err_page_t *pages = place->error_pages->elts;
    for (ngx_uint_t i = 0; i < place->error_pages->nelts; i++)
        if ((ngx_uint_t)pages[i].status == status)
            return 1;
    return 0;
}

/* ngx_http_send_response would take the text of a redirect for its Location. */
ngx_int_t ab_respond(ngx_http_request_t *r, ngx_uint_t status, ab_text type, ab_text body)
{
    ngx_buf_t *buffer = ngx_calloc_buf(r->pool);
    ngx_chain_t out = {buffer, NULL};

    ngx_int_t sent = ngx_http_discard_request_body(r);
    if (!buffer || sent != NGX_OK)
        return buffer ? sent : NGX_HTTP_INTERNAL_SERVER_ERROR;
    r->headers_out.status = status;
    r->headers_out.content_type = (ngx_str_t){type.size, (u_char *)type.data};
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = (off_t)body.size;
    sent = ngx_http_send_header(r);
    if (sent == NGX_ERROR || sent > NGX_OK || r->header_only)
        return sent;
    buffer->pos = (u_char *)body.data;
    buffer->last = buffer->pos + body.size;
    buffer->memory = body.size != 0;
    buffer->last_buf = r == r->main;
    buffer->last_in_chain = 1;
    return ngx_http_output_filter(r, &out);
}

static ngx_int_t refuse(ngx_http_request_t *r, decided *own)
{
    static const ab_text json = {"application/json", sizeof("application/json") - 1};
    ngx_table_elt_t *header = r->headers_in.content_type;
    ab_text content_type = {header ? (char *)header->value.data : NULL, header ? header->value.len : 0};
    ngx_uint_t status = (ngx_uint_t)core->decision_status(own->decision);
    uint32_t level = AB_LOG_ERROR;
    const char *line = core->decision_line(own->decision, &level);

    if (!own->concluded)
        ngx_log_error(ab_level(level), r->connection->log, 0, "%s",
                      line ? line : "AB1902 internal-error: no decision; see the AB lines since the start");
    own->concluded = 1;
    own->grpc = core->decision_is_grpc(own->decision, content_type, (uint32_t)r->http_version) != 0;
    if (own->grpc)
        r->error_page = 1; /* as if it had been there: no page can be the end of a call */
    if (is_for_nginx(r, status))
        return (ngx_int_t)status;
    r->access_code = 0;
    r->err_status = status; /* also inside of an error page with a status of its own */
    r->expect_tested = 1;   /* nobody wants the body */
    ngx_http_finalize_request(r, ab_respond(r, status, json, core->decision_body(own->decision)));
    return NGX_DONE;
}

static ngx_int_t grant(ngx_http_request_t *r, decided *own)
{
    if (!own->concluded && export_headers(r, own->decision) != NGX_OK)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    own->concluded = 1;
    return NGX_OK;
}

/* --- phases --- */

/* Refuses whatever the location says of tokens. */
static ngx_int_t refuse_by(ngx_http_request_t *r, ab_decision *refusal)
{
    decided *own = keep(r, refusal, NULL);
    return own ? refuse(r, own) : NGX_HTTP_INTERNAL_SERVER_ERROR;
}

static ngx_int_t read_request(ngx_http_request_t *r)
{
    static const ngx_str_t name = ngx_string("sec-token-binding");
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    ab_client *client = ab_client_of(r);
    ngx_array_t *messages = client ? ab_values(r, &r->headers_in.headers, &name) : NULL;
    ab_binding *binding = NULL;
    ab_decision *refusal = NULL;

    if (ab_remove_headers(r, is_ours) != NGX_OK || (client && !messages))
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    if (!client)
        return NGX_DECLINED;
    if (!core->binding_verify(place->configuration, place->scope, client, messages->elts, messages->nelts, &binding, &refusal))
        return refuse_by(r, refusal);
    return !binding || ab_keep_binding(r, binding) == NGX_OK ? NGX_DECLINED : NGX_HTTP_INTERNAL_SERVER_ERROR;
}

/* What an earlier location's decision exports goes on to a location that has none of its own. */
static ngx_int_t export_client(ngx_http_request_t *r)
{
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    ab_decision *refusal = NULL;

    ngx_int_t status = ab_open_cookies(r, &refusal);
    if (status != NGX_DECLINED)
        return status == NGX_ABORT ? refuse_by(r, refusal) : status;
    if (r != r->main)
        return NGX_DECLINED;
    if (!core->binding_suffices(place->configuration, place->scope, ab_binding_of(r), &refusal))
        return refuse_by(r, refusal);
    /* Always: what an earlier location set, or came in with a request that NGINX refused before the
     * phases and sends to an error page, must not stay. */
    return export_headers(r, ab_decision_of(r)) == NGX_OK ? NGX_DECLINED : NGX_HTTP_INTERNAL_SERVER_ERROR;
}

/* Before the other modules. Runs again when a wait is over, and for any event of the connection
 * until then. */
static ngx_int_t check_first(ngx_http_request_t *r)
{
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    ngx_http_core_loc_conf_t *location = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!place->access)
        return NGX_DECLINED;
    decided *own = newest(r);
    if (!own || own->scope != place->scope)
        own = decide(r);
    if (!own)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    if (own->waiting)
        return NGX_AGAIN;
    if (core->decision_state(own->decision) == AB_BLOCKED) {
        ngx_int_t waiting = wait_in_pool(r, own);
        if (waiting != NGX_BUSY)
            return waiting;
        core->decision_overload(own->decision);
    }
    if (core->decision_state(own->decision) == AB_GRANT && core->decision_suffices(own->decision))
        return grant(r, own);
    ngx_int_t status = core->decision_status(own->decision);
    if (location->satisfy == NGX_HTTP_SATISFY_ANY && (status == NGX_HTTP_UNAUTHORIZED || status == NGX_HTTP_FORBIDDEN))
        return status;
    return refuse(r, own);
}

/* After the other modules: none of them has let in what was refused under `satisfy any`. */
static ngx_int_t check_last(ngx_http_request_t *r)
{
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    decided *own = place->access ? newest(r) : NULL;

    return own && core->decision_state(own->decision) == AB_REFUSE ? refuse(r, own) : NGX_DECLINED;
}

/* The refusal that the response tells of. Its error page may have been granted meanwhile; with a
 * status of its own it tells of no refusal. */
static const decided *refusal_of(ngx_http_request_t *r)
{
    for (ngx_pool_cleanup_t *kept = r->pool->cleanup; kept; kept = kept->next) {
        decided *own = kept->handler == free_decision ? kept->data : NULL;
        if (own && own->concluded && core->decision_state(own->decision) == AB_REFUSE &&
            (ngx_uint_t)core->decision_status(own->decision) == r->headers_out.status)
            return own;
    }
    return NULL;
}

/* The end of a gRPC call that has no message: the headers end the stream. Whatever was to be sent
 * instead (ours, or NGINX's after auth_delay) stops at the headers, as for HEAD. */
static void end_call(ngx_http_request_t *r)
{
    r->headers_out.status = NGX_HTTP_OK;
    r->err_status = 0; /* the access log tells what is sent */
    ngx_str_set(&r->headers_out.content_type, AB_GRPC_TYPE);
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    ngx_http_clear_content_length(r);
    r->header_only = 1;
    r->disable_not_modified = 1;
}

/* The challenge goes with whatever response a refusal comes to: ours, NGINX's, an error page's. */
static ngx_int_t add_response_headers(ngx_http_request_t *r)
{
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    const decided *refused = r == r->main ? refusal_of(r) : NULL;
    ab_effect effect;

    for (size_t i = 0; refused && core->decision_effect(refused->decision, i, &effect); i++)
        if (effect.target == AB_RESPONSE_HEADER && ab_add_effect(r, &r->headers_out.headers, &effect) != NGX_OK)
            return NGX_ERROR;
    if (r == r->main &&
        core->binding_response(place->configuration, place->scope, ab_binding_of(r), (int)r->headers_out.status, &effect) &&
        ab_add_effect(r, &r->headers_out.headers, &effect) != NGX_OK)
        return NGX_ERROR;
    if (r == r->main && ab_seal_cookies(r) != NGX_OK)
        return NGX_ERROR;
    if (refused && refused->grpc)
        end_call(r);
    return next_header_filter(r);
}

static ngx_int_t add_handler(ngx_conf_t *cf, ngx_uint_t phase, ngx_http_handler_pt handler)
{
    ngx_http_core_main_conf_t *http = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_http_handler_pt *place = ngx_array_push(&http->phases[phase].handlers);

    if (place)
        *place = handler;
    return place ? NGX_OK : NGX_ERROR;
}

ngx_int_t ab_handle_requests(ngx_conf_t *cf)
{
    ngx_http_core_main_conf_t *http = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_array_t *access = &http->phases[NGX_HTTP_ACCESS_PHASE].handlers;

    if (add_handler(cf, NGX_HTTP_POST_READ_PHASE, read_request) != NGX_OK ||
        add_handler(cf, NGX_HTTP_PREACCESS_PHASE, export_client) != NGX_OK ||
        add_handler(cf, NGX_HTTP_ACCESS_PHASE, check_first) != NGX_OK ||
        add_handler(cf, NGX_HTTP_ACCESS_PHASE, check_last) != NGX_OK)
        return NGX_ERROR;
    /* NGINX runs the handlers of a phase from the last to the first. */
    ngx_http_handler_pt *handlers = access->elts;
    ngx_memmove(handlers + 1, handlers, (access->nelts - 1) * sizeof(*handlers));
    handlers[0] = check_last;
    next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = add_response_headers;
    return NGX_OK;
}
