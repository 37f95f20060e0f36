/* The endpoints in NGINX that are ours: the token endpoint and the documents about it. */

#include "nginx.h"

/* What is kept for a request while it is answered. */
typedef struct {
    ab_answer *answer;
    unsigned waiting : 1; /* a thread works on the answer: hands off */
} answering;

static void free_answer(void *data) { core->answer_free(((answering *)data)->answer); }

static answering *answering_of(ngx_http_request_t *r) { return ab_kept(r->pool, free_answer); }

static ngx_int_t send_answer(ngx_http_request_t *r, const ab_answer *answer)
{
    uint32_t level = AB_LOG_ERROR;
    const char *line = core->answer_line(answer, &level);
    ab_effect header;

    if (line)
        ngx_log_error(ab_level(level), r->connection->log, 0, "%s", line);
    for (size_t i = 0; core->answer_header(answer, i, &header); i++)
        if (ab_add_effect(r, &r->headers_out.headers, &header) != NGX_OK)
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
    return ab_respond(r, (ngx_uint_t)core->answer_status(answer), core->answer_media_type(answer), core->answer_body(answer));
}

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
    ngx_int_t status = ab_wait_in_pool(r, wait_for_answer, resume, own);

    if (status == NGX_AGAIN) {
        own->waiting = 1;
        r->write_event_handler = go_on;
    }
    return status;
}

/* Whether NGINX's word is of this server's authorities, and of now. It lets connections that were made
 * to one server speak to another, which may trust others or ask for no certificate, and remembers what
 * was found when a session that is resumed began. */
static int word_counts(SSL *ssl, ngx_http_ssl_srv_conf_t *server)
{
    int own = SSL_get_SSL_CTX(ssl) == server->ssl.ctx;

    if (!server->verify || !server->ssl.ctx) /* one without a certificate of its own trusts nobody */
        return 0;
    if (own && !SSL_session_reused(ssl))
        return 1;
    /* NGINX asks OCSP for a resumed session too, but only what the first server is told to. */
    return (own || !server->ocsp) && ab_tls_chain_holds(ssl, server->ssl.ctx);
}

/* What NGINX says of who issued the client's certificate, if it can be believed. */
static ab_text word_on_chain(ngx_http_request_t *r)
{
    ngx_http_ssl_srv_conf_t *server = ngx_http_get_module_srv_conf(r, ngx_http_ssl_module);
    ngx_connection_t *c = r->connection;
    ngx_str_t word = ngx_null_string;

    if (c->ssl && word_counts(c->ssl->connection, server) && ngx_ssl_get_client_verify(c, r->pool, &word) == NGX_OK)
        return (ab_text){(char *)word.data, word.len};
    return (ab_text){NULL, 0};
}

static ngx_int_t answer(ngx_http_request_t *r, ab_call *call)
{
    ab_main *http = ngx_http_get_module_main_conf(r, ngx_http_auth_bound_module);
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    ngx_table_elt_t *type = r->headers_in.content_type, *header = r->headers_in.authorization;
    ab_text authorization = {header ? (char *)header->value.data : NULL, header ? header->value.len : 0};
    answering *own = ab_keep(r->pool, sizeof(*own), free_answer);

    if (!own)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    call->client = ab_client_of(r);
    call->binding = ab_binding_of(r);
    if (core->endpoint_asks_for_chain(place->configuration, place->scope, place->endpoint))
        call->verified = word_on_chain(r);
    call->method = (ab_text){(char *)r->method_name.data, r->method_name.len};
    call->content_type = (ab_text){type ? (char *)type->value.data : NULL, type ? type->value.len : 0};
    call->authorization = &authorization;
    call->authorization_count = header != NULL; /* NGINX refuses a second one itself */
    call->realm = place->realm;
    own->answer = core->answer_new(http->process, http->configuration, place->scope, place->endpoint, call);
    if (!own->answer)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    if (core->answer_pending(own->answer)) {
        ngx_int_t waiting = wait_in_pool(r, own);
        if (waiting != NGX_BUSY)
            return waiting;
        core->answer_overload(own->answer);
    }
    return send_answer(r, own->answer);
}

/* --- the body --- */

/* Read by ourselves and not by NGINX, which writes what exceeds client_body_buffer_size to a file:
 * there are tokens in it. */
typedef struct {
    u_char *data;
    size_t size, limit;
    ngx_uint_t truncated;
} reading;

/* Takes what has come, and gives NGINX its buffers back. Another module, or a delay in front of us, may
 * have had NGINX read it into a file all the same. */
static ngx_int_t take(ngx_http_request_t *r, reading *body)
{
    ngx_chain_t *link = r->request_body ? r->request_body->bufs : NULL;

    for (; link; link = link->next) {
        ngx_buf_t *part = link->buf;
        size_t size = (size_t)ngx_buf_size(part);
        if (size > body->limit - body->size) {
            body->truncated = 1;
            return NGX_OK;
        }
        if (ngx_buf_in_memory(part))
            ngx_memcpy(body->data + body->size, part->pos, size);
        else if (size && ngx_read_file(part->file, body->data + body->size, size, part->file_pos) != (ssize_t)size)
            return NGX_ERROR;
        body->size += size;
        part->pos = part->last;
    }
    if (r->request_body)
        r->request_body->bufs = NULL;
    return NGX_OK;
}

static void finish(ngx_http_request_t *r, const reading *body)
{
    ab_call call = {.truncated = (int)body->truncated};

    if (!body->truncated)
        call.body = (ab_text){(char *)body->data, body->size};
    r->read_event_handler = ngx_http_block_reading;
    ngx_int_t status = answer(r, &call);
    if (status != NGX_AGAIN)
        ngx_http_finalize_request(r, status);
}

static void read_body(ngx_http_request_t *r)
{
    reading *body = ngx_http_get_module_ctx(r, ngx_http_auth_bound_module);

    for (;;) {
        if (take(r, body) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
            return;
        }
        if (!r->reading_body || body->truncated)
            return finish(r, body);
        ngx_int_t status = ngx_http_read_unbuffered_request_body(r);
        if (status >= NGX_HTTP_SPECIAL_RESPONSE) {
            ngx_http_finalize_request(r, status);
            return;
        }
        if (status == NGX_AGAIN && !r->request_body->bufs) {
            r->read_event_handler = read_body;
            return;
        }
    }
}

static ngx_int_t begin_reading(ngx_http_request_t *r, size_t limit)
{
    size_t size = r->headers_in.content_length_n >= 0 ? (size_t)r->headers_in.content_length_n : limit;
    reading *body = ngx_pcalloc(r->pool, sizeof(*body));

    if (!body || !(body->data = ngx_palloc(r->pool, size + 1)))
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    body->limit = size;
    ngx_http_set_ctx(r, body, ngx_http_auth_bound_module);
    r->request_body_no_buffering = 1;
    r->request_body_in_file_only = 0;
    ngx_int_t status = ngx_http_read_client_request_body(r, read_body);
    return status >= NGX_HTTP_SPECIAL_RESPONSE ? status : NGX_DONE;
}

/* The content handler of the endpoints. */
ngx_int_t ab_serve_endpoint(ngx_http_request_t *r)
{
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    size_t limit = core->endpoint_max_body(place->configuration, place->scope);
    ab_call call = {0};

    if (r != r->main)
        return NGX_HTTP_NOT_FOUND; /* a subrequest has the body of another request */
    call.truncated = place->endpoint == AB_TOKEN_EXCHANGE && r->headers_in.content_length_n > (off_t)limit;
    if (place->endpoint == AB_TOKEN_EXCHANGE && !call.truncated)
        return begin_reading(r, limit);
    r->expect_tested = 1; /* nobody wants the body; whether it comes all the same, only the client knows */
    if (call.truncated) {
        r->keepalive = 0;
        r->lingering_close = 1;
    }
    ngx_int_t status = ngx_http_discard_request_body(r);
    return status == NGX_OK ? answer(r, &call) : status;
}
