/* What is kept in NGINX's pools: each thing in a cleanup, known by the function that ends it. */

#include "nginx.h"

void *ab_keep(ngx_pool_t *pool, size_t size, ngx_pool_cleanup_pt end)
{
    ngx_pool_cleanup_t *kept = ngx_pool_cleanup_add(pool, size);

    if (!kept)
        return NULL;
    ngx_memzero(kept->data, size);
    kept->handler = end;
    return kept->data;
}

void *ab_kept(ngx_pool_t *pool, ngx_pool_cleanup_pt end)
{
    for (ngx_pool_cleanup_t *kept = pool->cleanup; kept; kept = kept->next)
        if (kept->handler == end)
            return kept->data;
    return NULL;
}
