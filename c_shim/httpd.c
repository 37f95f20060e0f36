/* The shim for Apache httpd 2.4: where the core sits in the life of the server and of a connection.
 * It moves facts in and effects out and decides nothing; httpd_request.c does so for requests. */

#include "httpd.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include <http_connection.h>
#include <mod_ssl_openssl.h>

/* src/ffi/httpd.rs writes this structure down again. */
_Static_assert(MODULE_MAGIC_NUMBER_MAJOR == 20120211, "the module structure of httpd 2.4");
_Static_assert(MODULE_MAGIC_COOKIE == 0x41503234UL, "the cookie of httpd 2.4");
_Static_assert(sizeof(module) == 112 && offsetof(module, module_index) == 8 && offsetof(module, create_dir_config) == 56 &&
                   offsetof(module, cmds) == 88 && offsetof(module, register_hooks) == 96 && offsetof(module, flags) == 104,
               "the layout of the module structure");

/* httpd hands over so many words of a directive and drops the rest in silence (AP_MAX_ARGC, which
 * it keeps to itself). */
#define MAX_WORDS 64

/* Set whenever the configuration is read: the module may be loaded anew for it, or not. */
const ab_core *core;
ab_configuration *configuration;
static int binds;          /* whether any server negotiates Token Binding */
static int answers;        /* whether there is an endpoint of ours */
static int contexts;       /* how many TLS contexts do */
static int ssl_index = -1; /* where an SSL has its connection */
/* Set in each child. */
ab_process *process;

/* A connection: its TLS, with a reference of our own, since mod_ssl frees the SSL first. */
typedef struct {
    ab_tls tls;
    SSL *ssl;
    int chain_holds; /* for HTTP/2: mod_ssl can be believed what it says of the certificate's chain */
} connection;

/* --- configuration --- */

static void *create_scope(apr_pool_t *pool, char *place)
{
    return core->scope_new(configuration);
}

static apr_status_t free_scope(void *scope)
{
    core->scope_free(scope);
    return APR_SUCCESS;
}

/* Runs for most requests; the core has the result ready. */
static void *merge_scopes(apr_pool_t *pool, void *outer, void *inner)
{
    int given = 0;
    ab_scope *scope = core->scope_merge(configuration, outer, inner, &given);
    if (given)
        apr_pool_cleanup_register(pool, scope, free_scope, apr_pool_cleanup_null);
    return scope;
}

ab_text *ab_texts(apr_pool_t *pool, int count, char *const words[])
{
    ab_text *list = apr_palloc(pool, sizeof(*list) * (size_t)(count + 1));
    for (int i = 0; i < count; i++) {
        list[i].data = words[i];
        list[i].size = strlen(words[i]);
    }
    return list;
}

#define PROCESS GLOBAL_ONLY
#define SERVER NOT_IN_DIR_CONTEXT
#define LOCATION NOT_IN_LIMIT
/* Where each directive may not stand, by its number. */
static const unsigned forbidden[] = {
#define AB_BOTH(number, constant, httpd, nginx, scope, sentence) [number] = scope,
#define AB_NGINX(...)
#include "directives.def"
#undef AB_BOTH
#undef AB_NGINX
};
#undef PROCESS
#undef SERVER
#undef LOCATION

/* Each directive by its number. */
enum {
#define AB_BOTH(number, constant, httpd, nginx, scope, sentence) AB_DIRECTIVE_##constant = number,
#define AB_NGINX AB_BOTH
#include "directives.def"
#undef AB_BOTH
#undef AB_NGINX
};

static const char *set(cmd_parms *cmd, void *scope, int count, char *const words[])
{
    /* AllowOverrideList could name any directive. */
    const char *error = ap_check_cmd_context(cmd, NOT_IN_HTACCESS | forbidden[(size_t)cmd->info]);
    if (error)
        return error;
    if (count >= MAX_WORDS)
        return apr_psprintf(cmd->pool, "%s: got %d words or more, expected fewer", cmd->cmd->name, MAX_WORDS);
    error = core->scope_set(configuration, scope, (size_t)cmd->info, ab_texts(cmd->temp_pool, count, words), (size_t)count);
    return error ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", error, NULL) : NULL;
}

#define HTTPD_PROCESS RSRC_CONF
#define HTTPD_SERVER RSRC_CONF
#define HTTPD_LOCATION (RSRC_CONF | ACCESS_CONF)
#define AB_BOTH(number, constant, httpd, nginx, scope, sentence) \
    AP_INIT_TAKE_ARGV(httpd, set, (void *)number, HTTPD_##scope, sentence),
#define AB_NGINX(...)
const command_rec ab_commands[] = {
#include "directives.def"
    {NULL}
};

/* The first place in the configuration files where `is_one` says so of a directive's first word. */
static const ap_directive_t *find_place(apr_pool_t *pool, const ap_directive_t *node,
                                        int (*is_one)(const char *directive, const char *word))
{
    for (; node; node = node->next) {
        const char *args = node->args;
        if (is_one(node->directive, ap_getword_conf(pool, &args)))
            return node;
        const ap_directive_t *inside = find_place(pool, node->first_child, is_one);
        if (inside)
            return inside;
    }
    return NULL;
}

static int asks_for_tokens(const char *directive, const char *word)
{
    return !ap_cstr_casecmp(directive, "AuthType") && !ap_cstr_casecmp(word, ab_auth_type);
}

static int is_endpoint(const char *directive, const char *word)
{
    return !ap_cstr_casecmp(directive, "SetHandler") && ab_endpoint(word);
}

/* Whether nothing is `missing` that a place needs which `is_one`. */
static int has_all(apr_pool_t *pool, server_rec *s, int (*is_one)(const char *, const char *), const char *missing)
{
    const ap_directive_t *place = missing ? find_place(pool, ap_conftree, is_one) : NULL;

    if (place)
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s, "%s:%d: %s %s: %s", place->filename, place->line_num, place->directive,
                     place->args, missing);
    return !place;
}

/* What holds for a server before a location is known. */
static ab_scope *scope_of(server_rec *s) { return ap_get_module_config(s->lookup_defaults, &auth_bound_module); }

/* Part of the configuration test, too. */
static int check(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary, server_rec *s)
{
    for (server_rec *each = s; each; each = each->next) {
        core_server_config *settings = ap_get_core_module_config(each->module_config);
        if (settings->merge_trailers != AP_MERGE_TRAILERS_ENABLE)
            continue;
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, each,
                     "MergeTrailers: got \"on\", expected off: trailers would bring in the names that are stripped "
                     "from headers");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    binds = contexts = 0;
    answers = find_place(temporary, ap_conftree, is_endpoint) != NULL;
    for (server_rec *each = s; each; each = each->next)
        binds |= core->scope_is_on(configuration, scope_of(each), AB_DIRECTIVE_TOKEN_BINDING);
    const char *cookies = core->cookies_complete(configuration, NULL);
    if (cookies) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s, "BoundCookie: %s", cookies);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    /* One after the other: what is missing is told until the next question. */
    if (!has_all(temporary, s, asks_for_tokens, core->configuration_complete(configuration)) ||
        !has_all(temporary, s, is_endpoint, core->endpoint_complete(configuration, NULL)))
        return HTTP_INTERNAL_SERVER_ERROR;
    return OK;
}

/* What outlives the readings of the configuration, since the module may be loaded anew with each:
 * the memories, and the index. OpenSSL would go on calling functions of an index, so it has
 * none. */
typedef struct {
    int memories[AB_MEMORIES];
    int ssl_index;
} remembered;

static remembered *remember(server_rec *s)
{
    static const char note[] = "auth_bound";
    void *known = NULL;

    apr_pool_userdata_get(&known, note, s->process->pool);
    if (!known) {
        remembered *fresh = apr_palloc(s->process->pool, sizeof(*fresh));
        for (uint32_t i = 0; i < AB_MEMORIES; i++)
            fresh->memories[i] = -1;
        fresh->ssl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
        apr_pool_userdata_set(fresh, note, NULL, s->process->pool);
        known = fresh;
    }
    return known;
}

/* After mod_ssl has made its contexts. */
static int settle(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary, server_rec *s)
{
    remembered *known = remember(s);
    const char *error = core->configuration_settle(configuration);

    ssl_index = known->ssl_index;
    for (uint32_t i = 0; !error && i < AB_MEMORIES; i++)
        known->memories[i] = core->configuration_memory(configuration, i, known->memories[i]);
    if (!error && binds && (!contexts || ssl_index < 0))
        error = "BoundTokenBinding: got \"on\", expected a server with TLS by mod_ssl";
    if (!error)
        return OK;
    ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s, "%s", error);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static ab_tls *tls_of(SSL *ssl)
{
    connection *own = ssl_index < 0 ? NULL : SSL_get_ex_data(ssl, ssl_index);
    return own ? &own->tls : NULL;
}

static int offer_token_binding(server_rec *s, apr_pool_t *pool, int is_proxy, SSL_CTX *context)
{
    if (is_proxy || !binds)
        return OK;
    ab_offering *offering = apr_palloc(pool, sizeof(*offering));
    *offering = (ab_offering){core, configuration, scope_of(s), tls_of};
    contexts += core->scope_is_on(configuration, scope_of(s), AB_DIRECTIVE_TOKEN_BINDING);
    if (ab_tls_offer(context, offering))
        return OK;
    ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s,
                 "BoundTokenBinding: the TLS extension is taken; expected no other module for Token Binding");
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* --- the serving process --- */

int ab_level(uint32_t level)
{
    static const int levels[] = {APLOG_ERR, APLOG_ERR, APLOG_WARNING, APLOG_INFO};
    return levels[level & 3];
}

static void write_log(void *server, uint32_t level, const char *line)
{
    ap_log_error(APLOG_MARK, ab_level(level), 0, (server_rec *)server, "%s", line);
}

static apr_status_t stop_process(void *unused)
{
    core->process_stop(process);
    return APR_SUCCESS;
}

static void start_process(apr_pool_t *pool, server_rec *s)
{
    sigset_t all, before;
    sigfillset(&all);
    /* The server's signals are for its own threads. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    process = core->process_start(configuration, ap_get_module_config(s->lookup_defaults, &auth_bound_module), write_log, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    apr_pool_cleanup_register(pool, NULL, stop_process, apr_pool_cleanup_null);
}

/* --- the connection --- */

static apr_status_t release_connection(void *data)
{
    connection *c = data;
    if (ssl_index >= 0)
        SSL_set_ex_data(c->ssl, ssl_index, NULL);
    ab_tls_release(core, &c->tls);
    SSL_free(c->ssl);
    return APR_SUCCESS;
}

static int keep_ssl(conn_rec *c, SSL *ssl, int is_proxy)
{
    if (is_proxy)
        return OK;
    connection *own = apr_pcalloc(c->pool, sizeof(*own));
    SSL_up_ref(ssl);
    own->ssl = ssl;
    if (ssl_index >= 0)
        SSL_set_ex_data(ssl, ssl_index, own);
    ap_set_module_config(c->conn_config, &auth_bound_module, own);
    apr_pool_cleanup_register(c->pool, own, release_connection, apr_pool_cleanup_null);
    return OK;
}

static connection *connection_of(conn_rec *c)
{
    return ap_get_module_config((c->master ? c->master : c)->conn_config, &auth_bound_module);
}

/* When a session is resumed nothing is verified: mod_ssl then calls any certificate good with
 * optional_no_ca, and otherwise one that has expired or was revoked since. */
static int chain_holds(SSL *ssl) { return !SSL_session_reused(ssl) || ab_tls_chain_holds(ssl, SSL_get_SSL_CTX(ssl)); }

/* After mod_ssl's handshake, before mod_http2 takes over: from then on several threads read what
 * is found here. */
static int look_at_client(conn_rec *c)
{
    connection *own = c->master || c->outgoing ? NULL : connection_of(c);
    if (own) {
        ab_tls_refresh(core, &own->tls, own->ssl);
        own->chain_holds = answers && chain_holds(own->ssl);
    }
    return DECLINED;
}

int ab_chain_holds(request_rec *r)
{
    connection *own = connection_of(r->connection);
    return own && (r->connection->master ? own->chain_holds : chain_holds(own->ssl));
}

ab_client *ab_known_client(request_rec *r)
{
    connection *own = connection_of(r->connection);
    return own ? own->tls.client : NULL;
}

/* HTTP/1.1 looks again, since mod_ssl may have renegotiated; HTTP/2 forbids that, and its streams
 * must not touch the SSL. */
ab_client *ab_client_of(request_rec *r)
{
    connection *own = connection_of(r->connection);
    if (!own)
        return NULL;
    if (!r->connection->master && !ab_tls_refresh(core, &own->tls, own->ssl))
        return NULL;
    return own->tls.client;
}

/* --- registration --- */

static apr_status_t free_configuration(void *data)
{
    core->configuration_free(data);
    return APR_SUCCESS;
}

void ab_register(apr_pool_t *pool, const ab_core *table)
{
    static const char *const ssl_first[] = {"mod_ssl.c", NULL};
    static const char *const http_after[] = {"mod_http2.c", "mod_reqtimeout.c", NULL};

    core = table;
    configuration = core->configuration_new();
    apr_pool_cleanup_register(pool, configuration, free_configuration, apr_pool_cleanup_null);

    ap_hook_check_config(check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(settle, ssl_first, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(start_process, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ssl, init_server, offer_token_binding, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ssl, pre_handshake, keep_ssl, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_process_connection(look_at_client, ssl_first, http_after, APR_HOOK_MIDDLE);
    ab_hook_requests(pool);
}

void *ab_create_scope(apr_pool_t *pool, char *place) { return create_scope(pool, place); }
void *ab_merge_scopes(apr_pool_t *pool, void *outer, void *inner) { return merge_scopes(pool, outer, inner); }
