/* The endpoints in NGINX that are ours: the token endpoint and the documents about it. */

#include "nginx.h"

/* What is kept for a request while it is answered. */
typedef struct {
    ab_answer *answer;
    unsigned waiting : 1; /* a thread works on the answer: hands off */
} answering;

static void free_answer(void *data) { core->answer_free(((answering *)data)->answer); }

static answering *answering_of(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t *kept = r->pool->cleanup;

    while (kept && kept->handler != free_answer)
        kept = kept->next;
    return kept ? kept->data : NULL;
}

static ngx_int_t send_answer(ngx_http_request_t *r, const ab_answer *answer)
{
    uint32_t level = AB_LOG_ERROR;
    const char *line = core->answer_line(answer, &level);
    ab_effect header;

    if (line)
        ngx_log_error(ab_level(level), r->connection->log, 0, "%s", line);
    for (size_t i = 0; core->answer_header(answer, i, &header); i++) {
        ngx_str_t name = {ngx_strlen(header.name), (u_char *)header.name};
        ngx_str_t value = {ngx_strlen(header.value), (u_char *)header.value};
        if (!ab_add_header(r, &r->headers_out.headers, name, value))
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ab_respond(r, (ngx_uint_t)core->answer_status(answer), core->answer_media_type(answer), core->answer_body(answer));
}

#if (NGX_THREADS)

/* In a thread of the pool. */
static void wait_for_answer(void *own, ngx_log_t *log) { core->answer_wait(((answering *)own)->answer); }

/* Also for any other event of the connection until then. */
static void go_on(ngx_http_request_t *r)
{
    answering *own = answering_of(r);

    if (own->waiting)
        return;
    r->write_event_handler = ngx_http_request_empty_handler;
    ngx_http_finalize_request(r, send_answer(r, own->answer));
}

static void resume(ngx_http_request_t *r)
{
    answering_of(r)->waiting = 0;
}

static ngx_int_t wait_in_pool(ngx_http_request_t *r, answering *own)
{
    own->waiting = 1;
    r->write_event_handler = go_on;
    return ab_wait_in_pool(r, wait_for_answer, resume, own);
}

#else

static ngx_int_t wait_in_pool(ngx_http_request_t *r, answering *own) { return NGX_HTTP_SERVICE_UNAVAILABLE; }

#endif

/* Puts the body together; NGINX has read all of it, large ones into a file. */
static ngx_int_t gather_body(ngx_http_request_t *r, size_t limit, ab_call *call)
{
    size_t size = 0, room;
    u_char *body;

    for (ngx_chain_t *link = r->request_body ? r->request_body->bufs : NULL; link; link = link->next)
        size += (size_t)ngx_buf_size(link->buf);
    call->truncated = size > limit;
    if (!size || call->truncated)
        return NGX_OK;
    body = ngx_palloc(r->pool, size);
    if (!body)
        return NGX_ERROR;
    call->body = (ab_text){(char *)body, size};
    room = size;
    for (ngx_chain_t *link = r->request_body->bufs; link; link = link->next) {
        ngx_buf_t *part = link->buf;
        size_t length = ngx_min((size_t)ngx_buf_size(part), room);
        if (!part->in_file)
            ngx_memcpy(body, part->pos, length);
        else if (ngx_read_file(part->file, body, length, part->file_pos) != (ssize_t)length)
            return NGX_ERROR;
        body += length;
        room -= length;
    }
    return NGX_OK;
}

/* Whether NGINX trusts who issued the client's certificate, and not only lets it pass. */
static int is_chain_verified(ngx_http_request_t *r)
{
    ngx_str_t verified = ngx_null_string;

    return r->connection->ssl && ngx_ssl_get_client_verify(r->connection, r->pool, &verified) == NGX_OK &&
           verified.len == sizeof("SUCCESS") - 1 && ngx_strncmp(verified.data, "SUCCESS", verified.len) == 0;
}

static ngx_int_t answer(ngx_http_request_t *r, ab_call *call)
{
    ab_main *http = ngx_http_get_module_main_conf(r, ngx_http_auth_bound_module);
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    ngx_table_elt_t *type = r->headers_in.content_type, *header = r->headers_in.authorization;
    ab_text authorization = {header ? (char *)header->value.data : NULL, header ? header->value.len : 0};
    ngx_pool_cleanup_t *kept = ngx_pool_cleanup_add(r->pool, sizeof(answering));

    if (!kept)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    call->client = ab_client_of(r);
    call->binding = ab_binding_of(r);
    call->chain_verified = is_chain_verified(r);
    call->method = (ab_text){(char *)r->method_name.data, r->method_name.len};
    call->content_type = (ab_text){type ? (char *)type->value.data : NULL, type ? type->value.len : 0};
    call->authorization = &authorization;
    call->authorization_count = header != NULL; /* NGINX refuses a second one itself */
    call->realm = place->realm;
    answering *own = kept->data;
    ngx_memzero(own, sizeof(*own));
    own->answer = core->answer_new(http->process, http->configuration, place->scope, place->endpoint, call);
    if (!own->answer)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    kept->handler = free_answer;
    return core->answer_pending(own->answer) ? wait_in_pool(r, own) : send_answer(r, own->answer);
}

static size_t body_limit(ngx_http_request_t *r)
{
    ab_main *http = ngx_http_get_module_main_conf(r, ngx_http_auth_bound_module);
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);

    return core->endpoint_max_body(http->configuration, place->scope);
}

static void answer_with_body(ngx_http_request_t *r)
{
    ab_call call = {0};
    ngx_int_t status = gather_body(r, body_limit(r), &call);

    status = status == NGX_OK ? answer(r, &call) : NGX_HTTP_INTERNAL_SERVER_ERROR;
    if (status != NGX_AGAIN)
        ngx_http_finalize_request(r, status);
}

/* The content handler of the endpoints. */
ngx_int_t ab_serve_endpoint(ngx_http_request_t *r)
{
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    ab_call call = {0};
    ngx_int_t status;

    if (r != r->main)
        return NGX_HTTP_NOT_FOUND; /* a subrequest has the body of another request */
    call.truncated = place->endpoint == AB_TOKEN_EXCHANGE && r->headers_in.content_length_n > (off_t)body_limit(r);
    if (place->endpoint == AB_TOKEN_EXCHANGE && !call.truncated) {
        status = ngx_http_read_client_request_body(r, answer_with_body);
        return status >= NGX_HTTP_SPECIAL_RESPONSE ? status : NGX_DONE;
    }
    if (ngx_http_discard_request_body(r) != NGX_OK)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    return answer(r, &call);
}
