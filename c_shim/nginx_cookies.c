/* Cookies in NGINX: opened before the access phase, sealed when the response has all its headers. */

#include "nginx.h"

/* What is kept for a request, in a cleanup of its pool, which subrequests share. The newest one
 * counts. */
typedef struct {
    ngx_http_request_t *request;
    ab_scope *scope;
    ngx_array_t *headers; /* as they came */
    ab_cookies *cookies;
} opened;

static ngx_str_t cookie = ngx_string("Cookie"), set_cookie = ngx_string("Set-Cookie");

static void free_cookies(void *data) { core->cookies_free(((opened *)data)->cookies); }

/* For this request, or for what it is a part of. */
static opened *newest(ngx_http_request_t *r)
{
    for (; r; r = r->parent)
        for (ngx_pool_cleanup_t *kept = r->pool->cleanup; kept; kept = kept->next)
            if (kept->handler == free_cookies && ((opened *)kept->data)->request == r)
                return kept->data;
    return NULL;
}

/* Where the response's cookies are protected: here, and where the request came from. */
static size_t protecting_scopes(ngx_http_request_t *r, ab_scope *scopes[AB_MAX_SCOPES], ab_cookies **cookies)
{
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    size_t count = 0;

    *cookies = NULL;
    if (core->scope_protects(place->configuration, place->scope))
        scopes[count++] = place->scope;
    for (ngx_pool_cleanup_t *kept = r->pool->cleanup; kept && count < AB_MAX_SCOPES; kept = kept->next) {
        opened *own = kept->handler == free_cookies ? kept->data : NULL;
        if (!own || own->request != r || !core->scope_protects(place->configuration, own->scope))
            continue;
        if (!*cookies)
            *cookies = own->cookies;
        if (!count || scopes[count - 1] != own->scope)
            scopes[count++] = own->scope;
    }
    return count;
}

ab_cookies *ab_cookies_of(ngx_http_request_t *r)
{
    opened *own = newest(r);
    return own ? own->cookies : NULL;
}

/* What the client itself asked for, whatever it was redirected to here. */
static ab_visit visit_of(ngx_http_request_t *r)
{
    ngx_http_core_srv_conf_t *server = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    ngx_str_t host = r->headers_in.server.len ? r->headers_in.server : server->server_name;
    ngx_str_t path = r->unparsed_uri;
    u_char *query = ngx_strlchr(path.data, path.data + path.len, '?');

    if (query)
        path.len = (size_t)(query - path.data);
    return (ab_visit){ab_client_of(r), ab_binding_of(r), {(char *)host.data, host.len}, {(char *)path.data, path.len}};
}

static void write_lines(ngx_http_request_t *r, const char *(*line)(const void *, size_t, uint32_t *), const void *of)
{
    uint32_t level = AB_LOG_ERROR;
    const char *text;

    for (size_t i = 0; (text = line(of, i, &level)); i++)
        ngx_log_error(ab_level(level), r->connection->log, 0, "%s", text);
}

static const char *cookies_line(const void *of, size_t index, uint32_t *level) { return core->cookies_line(of, index, level); }
static const char *sealed_line(const void *of, size_t index, uint32_t *level) { return core->sealed_line(of, index, level); }

/* --- opening --- */

/* A subrequest shares its headers with what it is a part of; this one gets a list of its own. */
static ngx_int_t own_headers(ngx_http_request_t *r)
{
    ngx_list_t shared = r->headers_in.headers;
    ngx_list_part_t *first = &shared.part;

    if (ngx_list_init(&r->headers_in.headers, r->pool, 20, sizeof(ngx_table_elt_t)) != NGX_OK)
        return NGX_ERROR;
    for (ngx_list_part_t *part = first; part; part = part->next) {
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            ngx_table_elt_t *header = ngx_list_push(&r->headers_in.headers);
            if (!header)
                return NGX_ERROR;
            *header = ((ngx_table_elt_t *)part->elts)[i];
        }
    }
    return NGX_OK;
}

static ngx_uint_t is_cookie(ngx_http_request_t *r, const ngx_table_elt_t *header)
{
    return header->key.len == cookie.len && ngx_strncasecmp(header->key.data, cookie.data, cookie.len) == 0;
}

/* What NGINX remembers of the headers as they came, if somebody asked before. */
static void forget_variables(ngx_http_request_t *r)
{
    static const ngx_str_t whole = ngx_string("http_cookie"), one = ngx_string("cookie_");
    ngx_http_core_main_conf_t *http = ngx_http_get_module_main_conf(r, ngx_http_core_module);
    ngx_http_variable_t *variables = http->variables.elts;

    for (ngx_uint_t i = 0; i < http->variables.nelts; i++) {
        ngx_str_t name = variables[i].name;
        if ((name.len == whole.len && ngx_strncasecmp(name.data, whole.data, whole.len) == 0) ||
            (name.len > one.len && ngx_strncasecmp(name.data, one.data, one.len) == 0))
            r->variables[i].valid = r->variables[i].not_found = 0;
    }
}

/* Makes the request's headers what came of them; all as they came if nothing did. */
static ngx_int_t put_headers(ngx_http_request_t *r, const opened *own)
{
    const ab_text *came = own->headers->elts;

    forget_variables(r);

    if ((r != r->main && own_headers(r) != NGX_OK) || ab_remove_headers(r, is_cookie) != NGX_OK)
        return NGX_ERROR;
#if (nginx_version >= 1023000)
    ngx_table_elt_t **last = &r->headers_in.cookie;
    *last = NULL;
#else
    if (ngx_array_init(&r->headers_in.cookies, r->pool, 1, sizeof(ngx_table_elt_t *)) != NGX_OK)
        return NGX_ERROR;
#endif
    for (ngx_uint_t i = 0; i < own->headers->nelts; i++) {
        ab_text value = came[i];
        if (core->cookies_header(own->cookies, i, &value) < 0)
            continue;
        ngx_str_t text = {value.size, (u_char *)value.data};
        ngx_table_elt_t *header = ab_add_header(r, &r->headers_in.headers, cookie, text);
        if (!header)
            return NGX_ERROR;
#if (nginx_version >= 1023000)
        *last = header;
        last = &header->next;
#else
        ngx_table_elt_t **place = ngx_array_push(&r->headers_in.cookies);
        if (!place)
            return NGX_ERROR;
        *place = header;
#endif
    }
    return NGX_OK;
}

ngx_int_t ab_open_cookies(ngx_http_request_t *r, ab_decision **refusal)
{
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    opened *before = newest(r);

    if (before ? before->scope == place->scope : !core->scope_protects(place->configuration, place->scope))
        return NGX_DECLINED;
    opened *own = ab_keep(r->pool, sizeof(*own), free_cookies);
    if (!own)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    own->request = r;
    own->scope = place->scope;
    own->headers = before ? before->headers : ab_values(r, &r->headers_in.headers, &cookie);
    if (!own->headers)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    ab_visit visit = visit_of(r);
    int goes_on = core->cookies_open(place->configuration, place->scope, &visit, own->headers->elts, own->headers->nelts,
                                     &own->cookies, refusal);
    write_lines(r, cookies_line, own->cookies);
    if ((own->cookies || before) && put_headers(r, own) != NGX_OK)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    if (goes_on)
        return NGX_DECLINED;
    /* An error page is not refused for the cookie that led to it; it does not see the cookie. */
    if (own->cookies && (r != r->main || before || r->error_page)) {
        core->decision_free(*refusal);
        return NGX_DECLINED;
    }
    return NGX_ABORT;
}

/* --- sealing --- */

static void free_sealed(void *data) { core->sealed_free(*(ab_sealed **)data); }

static ngx_int_t replace_headers(ngx_http_request_t *r, const ab_sealed *sealed)
{
    ab_text text;

    for (ngx_list_part_t *part = &r->headers_out.headers.part; part; part = part->next) {
        ngx_table_elt_t *headers = part->elts;
        for (ngx_uint_t i = 0; i < part->nelts; i++)
            if (headers[i].key.len == set_cookie.len &&
                ngx_strncasecmp(headers[i].key.data, set_cookie.data, set_cookie.len) == 0)
                headers[i].hash = 0; /* NGINX does not send it */
    }
    for (size_t i = 0; (text = core->sealed_header(sealed, i)).data; i++) {
        ngx_str_t value = {text.size, (u_char *)text.data};
        if (!ab_add_header(r, &r->headers_out.headers, set_cookie, value))
            return NGX_ERROR;
    }
    return NGX_OK;
}

ngx_int_t ab_seal_cookies(ngx_http_request_t *r)
{
    ab_main *http = ngx_http_get_module_main_conf(r, ngx_http_auth_bound_module);
    ab_scope *scopes[AB_MAX_SCOPES];
    ab_cookies *before;
    ab_sealed *sealed = NULL;
    size_t count = protecting_scopes(r, scopes, &before);

    if (!count)
        return NGX_OK;
    ngx_array_t *headers = ab_values(r, &r->headers_out.headers, &set_cookie);
    if (!headers)
        return NGX_ERROR;
    if (!headers->nelts)
        return NGX_OK;
    ab_visit visit = visit_of(r);
    int done = core->cookies_seal(http->configuration, scopes, count, &visit, before, headers->elts, headers->nelts, &sealed);
    if (!done)
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "AB1902 internal-error: cookies could not be sealed and are not issued");
    if (done && !sealed)
        return NGX_OK;
    if (sealed) {
        ab_sealed **kept = ab_keep(r->pool, sizeof(sealed), free_sealed);
        if (!kept) {
            core->sealed_free(sealed);
            return NGX_ERROR;
        }
        *kept = sealed;
        write_lines(r, sealed_line, sealed);
    }
    return replace_headers(r, sealed);
}
