/* Requests in NGINX that wait in a thread pool, while the event loop goes on. */

#include "nginx.h"

#if (NGX_THREADS)

/* A request that waits in the pool: for what, and what to do when that is over. */
typedef struct {
    ngx_http_request_t *request;
    void (*done)(ngx_http_request_t *);
    void *work;
    void (*handler)(void *, ngx_log_t *);
} waiting;

/* In a thread of the pool. */
static void work(void *data, ngx_log_t *log)
{
    waiting *own = data;
    own->handler(own->work, log);
}

static void resume(ngx_event_t *event)
{
    ngx_thread_task_t *task = (ngx_thread_task_t *)((u_char *)event - offsetof(ngx_thread_task_t, event));
    ngx_http_request_t *r = event->data; /* NGINX's debug log takes this for something with a connection */
    ngx_connection_t *c = r->connection;
    waiting *own = task->ctx;

    ngx_http_set_log_request(c->log, r);
    if (event->timedout) {
        ngx_log_error(NGX_LOG_ALERT, c->log, 0, "waiting takes too long");
        event->timedout = 0;
        return;
    }
    if (event->timer_set)
        ngx_del_timer(event);
    r->main->blocked--;
    r->aio = 0;
    own->done(r);
    /* Goes on with the phases, or ends the request if it was terminated meanwhile. */
    c->write->handler(c->write);
}

/* Leaves the event loop to others until `handler` is through. `blocked` keeps the request alive
 * whatever becomes of the client; the timer keeps a worker alive that shuts down gracefully, as
 * NGINX itself does since 1.25.4. */
ngx_int_t ab_wait_in_pool(ngx_http_request_t *r, void (*handler)(void *, ngx_log_t *), void (*done)(ngx_http_request_t *),
                          void *data)
{
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    ngx_thread_task_t *task = ngx_thread_task_alloc(r->pool, sizeof(waiting));

    if (!task)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    *(waiting *)task->ctx = (waiting){r, done, data, handler};
    task->handler = work;
    task->event.data = r;
    task->event.handler = resume;
    task->event.log = r->connection->log;
    if (ngx_thread_task_post(place->pool, task) != NGX_OK)
        return NGX_BUSY; /* the queue is full, and NGINX has said so */
    ngx_add_timer(&task->event, 60000);
    r->main->blocked++;
    r->aio = 1;
    return NGX_AGAIN;
}

#else

/* Nobody gets this far: the configuration is refused where something could have to wait. */
ngx_int_t ab_wait_in_pool(ngx_http_request_t *r, void (*handler)(void *, ngx_log_t *), void (*done)(ngx_http_request_t *),
                          void *data)
{
    return NGX_BUSY;
}

#endif
