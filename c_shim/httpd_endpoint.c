/* The endpoints in httpd that are ours: the token endpoint and the documents about it. */

#include "httpd.h"

#include <mod_ssl.h>

static APR_OPTIONAL_FN_TYPE(ssl_var_lookup) *ssl_var_lookup;

/* Handler names as SetHandler has them, by the core's number. */
static const char *const handlers[] = {
    [AB_TOKEN_EXCHANGE] = "bound-token-exchange",
    [AB_JWK_SET] = "bound-sts-jwks",
    [AB_METADATA] = "bound-sts-metadata",
};

uint32_t ab_endpoint(const char *handler)
{
    for (uint32_t i = AB_TOKEN_EXCHANGE; i <= AB_METADATA; i++)
        if (!strcmp(handler, handlers[i]))
            return i;
    return 0;
}

/* Reads the body, at most `limit` bytes of it. OK, or a status. */
static int read_body(request_rec *r, apr_size_t limit, ab_call *call)
{
    apr_bucket_brigade *brigade = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    apr_size_t room = limit + 1, size = 0;
    char *body = NULL;

    if (length && apr_atoi64(length) > (apr_int64_t)limit) {
        call->truncated = 1;
        return OK;
    }
    for (int ended = 0; !ended;) {
        apr_status_t status = ap_get_brigade(r->input_filters, brigade, AP_MODE_READBYTES, APR_BLOCK_READ, HUGE_STRING_LEN);
        if (status != APR_SUCCESS)
            return ap_map_http_request_error(status, HTTP_BAD_REQUEST);
        for (apr_bucket *b = APR_BRIGADE_FIRST(brigade); b != APR_BRIGADE_SENTINEL(brigade); b = APR_BUCKET_NEXT(b)) {
            const char *data;
            apr_size_t more;
            ended |= APR_BUCKET_IS_EOS(b);
            if (APR_BUCKET_IS_METADATA(b))
                continue;
            if (apr_bucket_read(b, &data, &more, APR_BLOCK_READ) != APR_SUCCESS)
                return HTTP_BAD_REQUEST;
            if (!body)
                body = apr_palloc(r->pool, room);
            if (more > room - size) {
                more = room - size;
                ended = 1;
            }
            memcpy(body + size, data, more);
            size += more;
        }
        apr_brigade_cleanup(brigade);
    }
    call->truncated = size > limit;
    call->body = (ab_text){body, call->truncated ? 0 : size};
    return OK;
}

/* What mod_ssl says of who issued the client's certificate, if it can be believed. */
static ab_text word_on_chain(request_rec *r)
{
    const char *word = ssl_var_lookup && ab_chain_holds(r)
                           ? ssl_var_lookup(r->pool, r->server, r->connection, r, (char *)"SSL_CLIENT_VERIFY")
                           : NULL;
    return (ab_text){word, word ? strlen(word) : 0};
}

static apr_status_t free_answer(void *answer)
{
    core->answer_free(answer);
    return APR_SUCCESS;
}

static int send_answer(request_rec *r, const ab_answer *answer)
{
    uint32_t level = AB_LOG_ERROR;
    const char *line = core->answer_line(answer, &level);
    ab_text body = core->answer_body(answer), type = core->answer_media_type(answer);
    ab_effect header;

    if (line)
        ap_log_rerror(APLOG_MARK, ab_level(level), 0, r, "%s", line);
    for (size_t i = 0; core->answer_header(answer, i, &header); i++)
        ab_apply(r, &header);
    r->status = core->answer_status(answer);
    r->status_line = NULL;
    ap_set_content_type(r, apr_pstrmemdup(r->pool, type.data, type.size));
    ap_set_content_length(r, (apr_off_t)body.size);
    if (!r->header_only)
        ap_rwrite(body.data, (int)body.size, r);
    return OK;
}

static int serve(request_rec *r)
{
    uint32_t endpoint = r->handler ? ab_endpoint(r->handler) : 0;
    ab_call call = {0};

    if (!endpoint)
        return DECLINED;
    int status = endpoint == AB_TOKEN_EXCHANGE ? read_body(r, core->endpoint_max_body(configuration, ab_scope_here(r)), &call)
                                               : ap_discard_request_body(r);
    if (status != OK)
        return status;
    const char *type = apr_table_get(r->headers_in, "Content-Type"), *realm = ap_auth_name(r);
    const apr_array_header_t *authorization = ab_values(r, r->headers_in, "Authorization");
    call.client = ab_client_of(r);
    call.binding = ab_binding_of(r);
    if (core->endpoint_asks_for_chain(configuration, ab_scope_here(r), endpoint))
        call.verified = word_on_chain(r);
    call.method = (ab_text){r->method, strlen(r->method)};
    call.content_type = (ab_text){type, type ? strlen(type) : 0};
    call.authorization = (const ab_text *)authorization->elts;
    call.authorization_count = (size_t)authorization->nelts;
    call.realm = (ab_text){realm, realm ? strlen(realm) : 0};
    ab_answer *answer = core->answer_new(process, configuration, ab_scope_here(r), endpoint, &call);
    if (!answer)
        return HTTP_INTERNAL_SERVER_ERROR;
    apr_pool_cleanup_register(r->pool, answer, free_answer, apr_pool_cleanup_null);
    if (core->answer_pending(answer))
        core->answer_wait(answer); /* this thread is the request's own */
    if (call.truncated)
        r->connection->keepalive = AP_CONN_CLOSE; /* nobody reads the rest */
    return send_answer(r, answer);
}

static void find_mod_ssl(void) { ssl_var_lookup = APR_RETRIEVE_OPTIONAL_FN(ssl_var_lookup); }

void ab_hook_endpoints(void)
{
    ap_hook_optional_fn_retrieve(find_mod_ssl, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(serve, NULL, NULL, APR_HOOK_MIDDLE);
}
