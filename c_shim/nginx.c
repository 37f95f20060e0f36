/* The shim for NGINX: the module, its directives, its workers. It moves facts in and effects out
 * and decides nothing; nginx_request.c does so for requests, nginx_variables.c for variables. */

#include "nginx.h"

#include <signal.h>

/* --- directives --- */

static void free_configuration(void *configuration) { core->configuration_free(configuration); }

static void *create_main(ngx_conf_t *cf)
{
    ab_main *own = ngx_pcalloc(cf->pool, sizeof(*own));
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cf->pool, 0);

    if (!own || !cleanup || !(own->configuration = core->configuration_new()))
        return NULL;
    cleanup->handler = free_configuration;
    cleanup->data = own->configuration;
    return own;
}

static void *create_location(ngx_conf_t *cf) { return ngx_pcalloc(cf->pool, sizeof(ab_location)); }

/* The endpoints that are ours, by the core's number, with their directives. */
static const struct {
    size_t directive;
    ngx_str_t name;
} endpoints[] = {
    [AB_TOKEN_EXCHANGE] = {AB_DIRECTIVE_TOKEN_EXCHANGE, ngx_string("bound_token_exchange")},
    [AB_JWK_SET] = {AB_DIRECTIVE_STS_JWKS, ngx_string("bound_sts_jwks")},
    [AB_METADATA] = {AB_DIRECTIVE_STS_METADATA, ngx_string("bound_sts_metadata")},
};

static uint32_t endpoint_of(const ngx_command_t *command)
{
    for (uint32_t i = AB_TOKEN_EXCHANGE; i <= AB_METADATA; i++)
        if (endpoints[i].directive == command->offset)
            return i;
    return 0;
}

static char *set_endpoint(ngx_conf_t *cf, ab_location *own, uint32_t endpoint)
{
    const char *expected = !(cf->cmd_type & NGX_HTTP_LOC_CONF) ? "a location of its own"
                           : own->endpoint                     ? "one endpoint in a location"
                                                               : NULL;
    own->endpoint = endpoint;
    if (!expected)
        return NGX_CONF_OK;
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V: got \"on\", expected %s", &endpoints[endpoint].name, expected);
    return NGX_CONF_ERROR;
}

static char *set(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    ab_main *http = ngx_http_conf_get_module_main_conf(cf, ngx_http_auth_bound_module);
    ab_location *own = conf;
    ngx_str_t *words = cf->args->elts;
    size_t count = cf->args->nelts - 1;
    ab_text *arguments = ngx_palloc(cf->temp_pool, (count + 1) * sizeof(*arguments));

    if (!own->scope)
        own->scope = core->scope_new(http->configuration);
    if (!own->scope || !arguments)
        return NGX_CONF_ERROR;
    for (size_t i = 0; i < count; i++) {
        arguments[i].data = (const char *)words[i + 1].data;
        arguments[i].size = words[i + 1].len;
    }
    const char *error = core->scope_set(http->configuration, own->scope, command->offset, arguments, count);
    if (error) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V: %s", &words[0], error);
        return NGX_CONF_ERROR;
    }
    if (command->offset == AB_DIRECTIVE_ACCESS || endpoint_of(command)) {
        own->file = cf->conf_file->file.name.data;
        own->line = cf->conf_file->line;
    }
    if (endpoint_of(command) && ngx_strcasecmp(words[1].data, (u_char *)"on") == 0)
        return set_endpoint(cf, own, endpoint_of(command));
#if (NGX_THREADS)
    /* Here already, for the line in NGINX's message if nobody defines the pool. */
    if (command->offset == AB_DIRECTIVE_THREAD_POOL && !ngx_thread_pool_add(cf, &words[1]))
        return NGX_CONF_ERROR;
#endif
    if ((command->offset == AB_DIRECTIVE_EXPORT_CLAIM || command->offset == AB_DIRECTIVE_TOKEN_BINDING_VARIABLE) && count == 2)
        return ab_add_exported(cf, &words[2]);
    return NGX_CONF_OK;
}

#define NGINX_PROCESS NGX_HTTP_MAIN_CONF
#define NGINX_SERVER (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF)
#define NGINX_LOCATION (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_HTTP_LMT_CONF)
#define AB_BOTH(number, constant, httpd, nginx, scope, sentence) \
    {ngx_string(nginx), NGINX_##scope | NGX_CONF_ANY, set, NGX_HTTP_LOC_CONF_OFFSET, number, NULL},
#define AB_NGINX AB_BOTH
static ngx_command_t directives[] = {
#include "directives.def"
    ngx_null_command
};

/* All directives are read, and none of http{} itself means a scope without any. */
static char *complete_main(ngx_conf_t *cf, void *conf)
{
    ab_main *own = conf;
    ab_location *outermost = ngx_http_conf_get_module_loc_conf(cf, ngx_http_auth_bound_module);

    if (!outermost->scope)
        outermost->scope = core->scope_new(own->configuration);
    own->global = outermost->scope;
    return own->global ? NGX_CONF_OK : NGX_CONF_ERROR;
}

/* Whether no request is served with these settings: those of a server are for what no location
 * matches, and `location /` matches everything. */
static ngx_uint_t is_never_used(ngx_http_core_loc_conf_t *place)
{
    if (place->name.len)
        return 0;
    for (ngx_queue_t *q = place->locations ? ngx_queue_head(place->locations) : NULL;
         q && q != ngx_queue_sentinel(place->locations); q = ngx_queue_next(q)) {
        ngx_http_core_loc_conf_t *prefix = ((ngx_http_location_queue_t *)q)->inclusive;
        if (prefix && prefix->name.len == 1)
            return 1;
    }
    return place->noname; /* an `if` of the server, left again when the location is found */
}

/* What is `missing` for what a directive asks, which directive, and where it stands. */
static char *complain(ngx_conf_t *cf, const char *directive, const char *missing, u_char *file, ngx_uint_t line)
{
    ngx_http_core_srv_conf_t *server = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    ngx_http_core_loc_conf_t *place = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%s: %s; for location \"%V\" of server \"%V\" in %s:%ui", directive, missing,
                  &place->name, &server->server_name, file, line);
    return NGX_CONF_ERROR;
}

/* What waiting takes. */
static char *prepare_pool(ngx_conf_t *cf, ab_main *http, ab_location *own, const char *directive)
{
    http->checks = 1;
    own->realm = core->scope_word(http->configuration, own->scope, AB_DIRECTIVE_REALM);
#if (NGX_THREADS)
    ab_text word = core->scope_word(http->configuration, own->scope, AB_DIRECTIVE_THREAD_POOL);
    ngx_str_t name = {word.size, (u_char *)word.data};
    own->pool = ngx_thread_pool_add(cf, &name);
    return own->pool ? NGX_CONF_OK : NGX_CONF_ERROR;
#else
    return complain(cf, directive, "this NGINX is built without --with-threads", own->file, own->line);
#endif
}

static char *prepare_checks(ngx_conf_t *cf, ab_main *http, ab_location *own)
{
    ngx_http_core_loc_conf_t *place = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    const char *missing = is_never_used(place) ? NULL : core->scope_complete(http->configuration, own->scope);

    return missing ? complain(cf, "bound_access", missing, own->file, own->line) : prepare_pool(cf, http, own, "bound_access");
}

static char *prepare_endpoint(ngx_conf_t *cf, ab_main *http, ab_location *own)
{
    ngx_http_core_loc_conf_t *place = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    const char *directive = (const char *)endpoints[own->endpoint].name.data;
    const char *missing = core->endpoint_complete(http->configuration, own->scope);

    if (!missing && place->handler && place->handler != ab_serve_endpoint)
        missing = "got \"on\" beside another content handler, expected a location of its own";
    if (missing)
        return complain(cf, directive, missing, own->file, own->line);
    place->handler = ab_serve_endpoint;
    return prepare_pool(cf, http, own, directive);
}

static char *merge_location(ngx_conf_t *cf, void *outer, void *inner)
{
    ab_main *http = ngx_http_conf_get_module_main_conf(cf, ngx_http_auth_bound_module);
    ngx_http_core_loc_conf_t *place = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    ngx_http_core_srv_conf_t *server = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    ab_location *around = outer, *own = inner;

    /* Where nothing is said the outer scope itself holds, so that an internal redirect between two
     * such locations keeps its decision. */
    own->scope = own->scope ? core->scope_merge(http->configuration, around->scope, own->scope, NULL) : around->scope;
    if (!own->scope)
        return NGX_CONF_ERROR;
    own->configuration = http->configuration;
    if (!own->file) {
        own->file = around->file;
        own->line = around->line;
    }
    const char *missing = core->cookies_complete(http->configuration, own->scope);
    if (missing)
        return complain(cf, "bound_cookie", missing, server->file_name, server->line);
    /* An endpoint is one location. `if` and limit_except are within it. */
    if (place->noname)
        own->endpoint = around->endpoint;
    if (own->endpoint && prepare_endpoint(cf, http, own) != NGX_CONF_OK)
        return NGX_CONF_ERROR;
    own->access = core->scope_is_on(http->configuration, own->scope, AB_DIRECTIVE_ACCESS) != 0;
    return own->access ? prepare_checks(cf, http, own) : NGX_CONF_OK;
}

/* --- Token Binding --- */

static ab_location *outermost_of(ngx_http_core_srv_conf_t *server)
{
    return server->ctx->loc_conf[ngx_http_auth_bound_module.ctx_index];
}

/* Registers the extension with one server's TLS context. */
static ngx_int_t offer(ngx_conf_t *cf, ab_main *http, ngx_http_core_srv_conf_t *server, SSL_CTX *context)
{
    ab_offering *offering = ngx_palloc(cf->pool, sizeof(*offering));

    if (!offering)
        return NGX_ERROR;
    *offering = (ab_offering){core, http->configuration, outermost_of(server)->scope, ab_tls_of};
    if (ab_tls_offer(context, offering))
        return NGX_OK;
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "bound_token_binding: the TLS extension is taken; expected no other module for Token Binding");
    return NGX_ERROR;
}

/* In the contexts of all servers, if any negotiates Token Binding. */
static ngx_int_t offer_token_binding(ngx_conf_t *cf, ab_main *http)
{
    ngx_http_core_main_conf_t *all = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_http_core_srv_conf_t **servers = all->servers.elts;
    ngx_uint_t wanted = 0, possible = 0;

    for (ngx_uint_t i = 0; i < all->servers.nelts; i++) {
        ngx_http_ssl_srv_conf_t *tls = servers[i]->ctx->srv_conf[ngx_http_ssl_module.ctx_index];
        if (!core->scope_is_on(http->configuration, outermost_of(servers[i])->scope, AB_DIRECTIVE_TOKEN_BINDING))
            continue;
        wanted = 1;
        possible |= tls->ssl.ctx != NULL;
        if (!tls->early_data)
            continue;
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "bound_token_binding: got \"on\" beside ssl_early_data, expected one of them; for the server in %s:%ui",
                      servers[i]->file_name, servers[i]->line);
        return NGX_ERROR;
    }
    if (wanted && !possible) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "bound_token_binding: got \"on\", expected a server with TLS");
        return NGX_ERROR;
    }
    for (ngx_uint_t i = 0; wanted && i < all->servers.nelts; i++) {
        ngx_http_ssl_srv_conf_t *tls = servers[i]->ctx->srv_conf[ngx_http_ssl_module.ctx_index];
        if (tls->ssl.ctx && offer(cf, http, servers[i], tls->ssl.ctx) != NGX_OK)
            return NGX_ERROR;
    }
    return NGX_OK;
}

/* What the workers share, from one reading of the configuration to the next. */
static int memories[AB_MEMORIES] = {-1, -1};

static ngx_int_t settle(ngx_conf_t *cf)
{
    ab_main *http = ngx_http_conf_get_module_main_conf(cf, ngx_http_auth_bound_module);
    const char *error = core->configuration_settle(http->configuration);

    if (error) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%s", error);
        return NGX_ERROR;
    }
    /* NGINX opens the new module before it closes the old one, so that this static survives. */
    for (uint32_t i = 0; i < AB_MEMORIES; i++)
        memories[i] = core->configuration_memory(http->configuration, i, memories[i]);
    return offer_token_binding(cf, http) == NGX_OK ? ab_handle_requests(cf) : NGX_ERROR;
}

/* --- the worker --- */

ngx_uint_t ab_level(uint32_t level)
{
    static const ngx_uint_t levels[] = {NGX_LOG_ERR, NGX_LOG_ERR, NGX_LOG_WARN, NGX_LOG_INFO};
    return levels[level & 3];
}

/* NGINX's own threads write to this log too. */
static void write_log(void *unused, uint32_t level, const char *line)
{
    ngx_log_error(ab_level(level), ngx_cycle->log, 0, "%s", line);
}

static ngx_int_t start_process(ngx_cycle_t *cycle)
{
    ab_main *http = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_auth_bound_module);
    sigset_t all, before;

    /* The cache manager and the cache loader serve nobody. */
    if (!http || !http->checks || (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE))
        return NGX_OK;
    sigfillset(&all);
    /* The server's signals are for its own thread. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    http->process = core->process_start(http->configuration, http->global, write_log, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return http->process ? NGX_OK : NGX_ERROR;
}

static void stop_process(ngx_cycle_t *cycle)
{
    ab_main *http = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_auth_bound_module);

    if (http)
        core->process_stop(http->process);
}

/* After the thread pools have ended. */
static void free_process(ngx_cycle_t *cycle)
{
    ab_main *http = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_auth_bound_module);

    if (http)
        core->process_free(http->process);
}

/* --- the modules --- */

static ngx_http_module_t steps = {
    .preconfiguration = ab_add_variables,
    .postconfiguration = settle,
    .create_main_conf = create_main,
    .init_main_conf = complete_main,
    .create_loc_conf = create_location,
    .merge_loc_conf = merge_location,
};

ngx_module_t ngx_http_auth_bound_module = {
    NGX_MODULE_V1,
    .ctx = &steps,
    .commands = directives,
    .type = NGX_HTTP_MODULE,
    .init_process = start_process,
    .exit_process = free_process,
};

/* In front of NGINX's thread pools in the list of modules, since these end by waiting for their
 * tasks, and tasks of ours wait for keys until the process is stopped. */
static ngx_core_module_t stop = {.name = ngx_string("auth_bound_stop")};

ngx_module_t ngx_auth_bound_stop_module = {
    NGX_MODULE_V1,
    .ctx = &stop,
    .type = NGX_CORE_MODULE,
    .exit_process = stop_process,
};
