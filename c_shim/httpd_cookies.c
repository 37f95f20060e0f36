/* Cookies in httpd: opened after the access check, before any authentication, and sealed when the
 * response has all its headers. */

#include "httpd.h"

static ap_filter_rec_t *seal_filter;

/* --- opening --- */

/* What the client itself asked for, whatever it was redirected to here. */
static ab_visit visit_of(request_rec *r)
{
    request_rec *first = r;
    while (ab_before(first))
        first = ab_before(first);
    const char *host = first->hostname ? first->hostname : first->server->server_hostname;
    const char *path = first->parsed_uri.path ? first->parsed_uri.path : "/";
    return (ab_visit){ab_known_client(r), ab_binding_of(r), {host, host ? strlen(host) : 0}, {path, strlen(path)}};
}

/* The last one of this request and those before it that cookies were opened for. */
static ab_request *opened(request_rec *r)
{
    for (; r; r = ab_before(r)) {
        ab_request *own = ab_request_of(r);
        if (own && own->cookie_scope)
            return own;
    }
    return NULL;
}

static apr_status_t free_cookies(void *cookies)
{
    core->cookies_free(cookies);
    return APR_SUCCESS;
}

/* Makes the request's headers what came of them; all as they came if nothing did. */
static void put_headers(request_rec *r, const ab_request *own)
{
    const ab_text *came = (const ab_text *)own->cookie_headers->elts;

    apr_table_unset(r->headers_in, "Cookie");
    for (int i = 0; i < own->cookie_headers->nelts; i++) {
        ab_text value = came[i];
        if (core->cookies_header(own->cookies, (size_t)i, &value) >= 0)
            apr_table_addn(r->headers_in, "Cookie", apr_pstrmemdup(r->pool, value.data, value.size));
    }
}

int ab_open_cookies(request_rec *r)
{
    ab_scope *scope = ab_scope_here(r);
    ab_request *own = ab_request_of(r), *before = opened(r);
    ab_decision *refusal = NULL;
    ab_effect effect;
    uint32_t level = AB_LOG_ERROR;
    const char *line;

    if (own && own->cookie_scope == scope)
        return own->cookie_status;
    int protects = core->scope_protects(configuration, scope);
    if (before ? before->cookie_scope == scope : !protects)
        return DECLINED;
    own = ab_make_request(r);
    own->cookie_headers = before ? before->cookie_headers : ab_values(r, r->headers_in, "Cookie");
    own->cookie_scope = scope;
    own->cookie_status = DECLINED;
    own->cookies = NULL;
    if (protects)
        /* Interim responses pass by every filter. */
        apr_table_setn(r->subprocess_env, "proxy-interim-response", "Suppress");

    ab_visit visit = visit_of(r);
    int goes_on = core->cookies_open(configuration, scope, &visit, (const ab_text *)own->cookie_headers->elts,
                                     (size_t)own->cookie_headers->nelts, &own->cookies, &refusal);
    if (own->cookies)
        apr_pool_cleanup_register(r->pool, own->cookies, free_cookies, apr_pool_cleanup_null);
    if (own->cookies || before)
        put_headers(r, own);
    for (size_t i = 0; (line = core->cookies_line(own->cookies, i, &level)); i++)
        ap_log_rerror(APLOG_MARK, ab_level(level), 0, r, "%s", line);
    for (size_t i = 0; core->cookies_effect(own->cookies, i, &effect); i++)
        ab_apply(r, &effect);
    if (goes_on)
        return DECLINED;
    /* An error page is not refused for the cookie that led to it; it does not see the cookie. */
    if (ab_before(r) && own->cookies)
        core->decision_free(refusal);
    else
        own->cookie_status = ab_refuse_by(r, refusal);
    return own->cookie_status;
}

/* --- sealing --- */

static apr_status_t free_sealed(void *sealed)
{
    core->sealed_free(sealed);
    return APR_SUCCESS;
}

/* Where the response's cookies are protected: here, or where the request came from. */
static ab_scope *protecting_scope(request_rec *r)
{
    ab_scope *here = ab_scope_here(r);
    ab_request *before = opened(r);

    if (core->scope_protects(configuration, here))
        return here;
    return before && core->scope_protects(configuration, before->cookie_scope) ? before->cookie_scope : NULL;
}

static void seal_headers(request_rec *r, ab_scope *scope)
{
    static const char name[] = "Set-Cookie";
    apr_array_header_t *headers = ab_values(r, r->err_headers_out, name);
    ab_request *before = opened(r);
    ab_sealed *sealed = NULL;
    ab_visit visit = visit_of(r);
    ab_text text;
    uint32_t level = AB_LOG_ERROR;
    const char *line;

    apr_array_cat(headers, ab_values(r, r->headers_out, name));
    if (!headers->nelts)
        return;
    int done = core->cookies_seal(configuration, scope, &visit, before ? before->cookies : NULL, (const ab_text *)headers->elts,
                                  (size_t)headers->nelts, &sealed);
    if (done && !sealed)
        return;
    /* The same order as they would have left in. */
    apr_table_unset(r->err_headers_out, name);
    apr_table_unset(r->headers_out, name);
    if (!done)
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "AB1902 internal-error: cookies could not be sealed and are not issued");
    if (sealed)
        apr_pool_cleanup_register(r->pool, sealed, free_sealed, apr_pool_cleanup_null);
    for (size_t i = 0; (text = core->sealed_header(sealed, i)).data; i++)
        apr_table_addn(r->headers_out, name, apr_pstrmemdup(r->pool, text.data, text.size));
    for (size_t i = 0; (line = core->sealed_line(sealed, i, &level)); i++)
        ap_log_rerror(APLOG_MARK, ab_level(level), 0, r, "%s", line);
}

static apr_status_t seal(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    ab_scope *scope = protecting_scope(filter->r);

    if (scope)
        seal_headers(filter->r, scope);
    ap_remove_output_filter(filter);
    return ap_pass_brigade(filter->next, brigade);
}

void ab_watch_cookies(request_rec *r)
{
    if (!r->main && protecting_scope(r))
        ap_add_output_filter_handle(seal_filter, NULL, r, r->connection);
}

void ab_hook_cookies(void)
{
    /* Behind the filters that still change headers (mod_headers), before those that write them. */
    seal_filter = ap_register_output_filter("AUTH_BOUND_SEAL", seal, NULL, AP_FTYPE_PROTOCOL - 1);
}
