/* Cookies in httpd: opened after the access check, before any authentication, and sealed when the
 * response has all its headers. */

#include "httpd.h"

static ap_filter_rec_t *seal_filter, *uncached_filter;
static int caches; /* whether mod_cache is there */

/* --- opening --- */

/* As browsers compare it: httpd has decoded the path that it parsed. */
static ab_text sent_path(request_rec *r)
{
    const char *path = r->unparsed_uri ? r->unparsed_uri : "/";
    apr_uri_t uri;

    if (*path != '/') /* the absolute form */
        path = apr_uri_parse(r->pool, path, &uri) == APR_SUCCESS && uri.path ? uri.path : "/";
    return (ab_text){path, strcspn(path, "?")};
}

/* What the client itself asked for, whatever it was redirected to here. */
static ab_visit visit_of(request_rec *r)
{
    request_rec *first = r;
    while (ab_before(first))
        first = ab_before(first);
    const char *host = first->hostname ? first->hostname : first->server->server_hostname;
    return (ab_visit){ab_known_client(r), ab_binding_of(r), {host, host ? strlen(host) : 0}, sent_path(first)};
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

/* Where the response's cookies are protected: here, and where the request came from. */
static size_t protecting_scopes(request_rec *r, ab_scope *scopes[AB_MAX_SCOPES], ab_cookies **cookies)
{
    ab_scope *here = ab_scope_here(r);
    size_t count = 0;

    *cookies = NULL;
    if (core->scope_protects(configuration, here))
        scopes[count++] = here;
    for (; r && count < AB_MAX_SCOPES; r = ab_before(r)) {
        ab_request *own = ab_request_of(r);
        if (!own || !own->cookie_scope || !core->scope_protects(configuration, own->cookie_scope))
            continue;
        if (!*cookies)
            *cookies = own->cookies;
        if (!count || scopes[count - 1] != own->cookie_scope)
            scopes[count++] = own->cookie_scope;
    }
    return count;
}

static void seal_headers(request_rec *r, ab_scope *const scopes[], size_t count, const ab_cookies *before)
{
    static const char name[] = "Set-Cookie";
    apr_array_header_t *headers = ab_values(r, r->err_headers_out, name);
    ab_sealed *sealed = NULL;
    ab_visit visit = visit_of(r);
    ab_text text;
    uint32_t level = AB_LOG_ERROR;
    const char *line;

    apr_array_cat(headers, ab_values(r, r->headers_out, name));
    if (!headers->nelts)
        return;
    int done = core->cookies_seal(configuration, scopes, count, &visit, before, (const ab_text *)headers->elts,
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

static int sets_cookie(request_rec *r)
{
    return apr_table_get(r->headers_out, "Set-Cookie") || apr_table_get(r->err_headers_out, "Set-Cookie");
}

static apr_status_t seal(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    ab_scope *scopes[AB_MAX_SCOPES];
    ab_cookies *before;
    size_t count = sets_cookie(filter->r) ? protecting_scopes(filter->r, scopes, &before) : 0;

    if (count)
        seal_headers(filter->r, scopes, count, before);
    ap_remove_output_filter(filter);
    return ap_pass_brigade(filter->next, brigade);
}

/* mod_cache would keep a cookie as the application set it, and have it sealed for whoever comes next. */
static apr_status_t keep_from_cache(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    if (sets_cookie(filter->r))
        filter->r->no_cache = 1;
    ap_remove_output_filter(filter);
    return ap_pass_brigade(filter->next, brigade);
}

void ab_watch_cookies(request_rec *r)
{
    ab_scope *scopes[AB_MAX_SCOPES];
    ab_cookies *before;

    if (r->main || !protecting_scopes(r, scopes, &before))
        return;
    if (caches)
        ap_add_output_filter_handle(uncached_filter, NULL, r, r->connection);
    ap_add_output_filter_handle(seal_filter, NULL, r, r->connection);
}

static int suppress_interim(request_rec *r)
{
    /* Interim responses pass by every filter. */
    if (r->proxyreq && core->scope_protects(configuration, ab_scope_here(r)))
        apr_table_setn(r->subprocess_env, "proxy-interim-response", "Suppress");
    return DECLINED;
}

/* When all modules are loaded. */
static void find_cache(void) { caches = ap_find_linked_module("mod_cache.c") != NULL; }

void ab_hook_cookies(void)
{
    ap_hook_optional_fn_retrieve(find_cache, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(suppress_interim, NULL, NULL, APR_HOOK_REALLY_FIRST);
    /* In front of mod_cache's, which is of AP_FTYPE_CONTENT_SET - 1. */
    uncached_filter = ap_register_output_filter("AUTH_BOUND_UNCACHED", keep_from_cache, NULL, AP_FTYPE_CONTENT_SET - 2);
    /* Behind the filters that still change headers (mod_headers), before those that write them. */
    seal_filter = ap_register_output_filter("AUTH_BOUND_SEAL", seal, NULL, AP_FTYPE_PROTOCOL - 1);
}
