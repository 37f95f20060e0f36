/* The client in NGINX: what its connection has proved, and its request. */

#include "nginx.h"

static void release_tls(void *tls) { ab_tls_release(core, tls); }

ab_tls *ab_tls_of(SSL *ssl)
{
    /* An HTTP/2 stream has a connection of its own; this is the one of them all. */
    ngx_pool_t *pool = ((ngx_connection_t *)ngx_ssl_get_connection(ssl))->pool;
    ab_tls *tls = ab_kept(pool, release_tls);

    return tls ? tls : ab_keep(pool, sizeof(*tls), release_tls);
}

ab_client *ab_client_of(ngx_http_request_t *r)
{
    SSL *ssl = r->connection->ssl ? r->connection->ssl->connection : NULL;
    ab_tls *tls = ssl ? ab_tls_of(ssl) : NULL;

    return tls && ab_tls_refresh(core, tls, ssl) ? tls->client : NULL;
}

static void free_binding(void *data) { core->binding_free(*(ab_binding **)data); }

ngx_int_t ab_keep_binding(ngx_http_request_t *r, ab_binding *binding)
{
    ab_binding **kept = ab_keep(r->pool, sizeof(binding), free_binding);

    if (!kept) {
        core->binding_free(binding);
        return NGX_ERROR;
    }
    *kept = binding;
    return NGX_OK;
}

ab_binding *ab_binding_of(ngx_http_request_t *r)
{
    ab_binding **kept = ab_kept(r->pool, free_binding);
    return kept ? *kept : NULL;
}
