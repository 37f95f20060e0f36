/* The shim for Apache httpd 2.4: where the core sits in the life of the server, of a connection
 * and of a request. It moves facts in and effects out and decides nothing. */

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include <apr_strings.h>
#include <httpd.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_auth.h>
#include <mod_core.h>
#include <mod_ssl_openssl.h>
#include <util_filter.h>

#include "openssl.h"

extern module AP_MODULE_DECLARE_DATA auth_bound_module; /* in Rust, so that it alone is exported */
APLOG_USE_MODULE(auth_bound);

/* src/ffi/httpd.rs writes this structure down again. */
_Static_assert(MODULE_MAGIC_NUMBER_MAJOR == 20120211, "the module structure of httpd 2.4");
_Static_assert(MODULE_MAGIC_COOKIE == 0x41503234UL, "the cookie of httpd 2.4");
_Static_assert(sizeof(module) == 112 && offsetof(module, module_index) == 8 && offsetof(module, create_dir_config) == 56 &&
                   offsetof(module, cmds) == 88 && offsetof(module, register_hooks) == 96 && offsetof(module, flags) == 104,
               "the layout of the module structure");

static const char auth_type[] = "Bound";

static const char no_decision[] = "AB1902 internal-error: no decision; see the AB lines since the start";

/* httpd hands over so many words of a directive and drops the rest in silence (AP_MAX_ARGC, which
 * it keeps to itself). */
#define MAX_WORDS 64

/* Set whenever the configuration is read: the module may be loaded anew for it, or not. */
static const ab_core *core;
static ab_configuration *configuration;
static ap_filter_rec_t *json_filter, *response_filter;
static int binds;         /* whether any server negotiates Token Binding */
static int contexts;      /* how many TLS contexts do */
static int ssl_index = -1; /* where an SSL has its connection */
/* Set in each child. */
static ab_process *process;

/* A connection: its TLS, with a reference of our own, since mod_ssl frees the SSL first. */
typedef struct {
    ab_tls tls;
    SSL *ssl;
} connection;

/* A request: what it proved and what was decided. An internal redirect takes both along, as far
 * as they hold there. */
typedef struct {
    ab_binding *binding;
    ab_decision *decision;
    int authorizing;  /* the other modules' authorization is running inside of ours */
    int body_is_ours; /* the error response is the core's JSON */
} request;

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

static ab_text *texts(apr_pool_t *pool, int count, char *const words[])
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
    error = core->scope_set(configuration, scope, (size_t)cmd->info, texts(cmd->temp_pool, count, words), (size_t)count);
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

/* The first place in the configuration files that asks for our tokens. */
static const ap_directive_t *find_auth_type(const ap_directive_t *node)
{
    for (; node; node = node->next) {
        if (!ap_cstr_casecmp(node->directive, "AuthType") && !ap_cstr_casecmp(node->args, auth_type))
            return node;
        const ap_directive_t *inside = find_auth_type(node->first_child);
        if (inside)
            return inside;
    }
    return NULL;
}

/* What holds for a server before a location is known. */
static ab_scope *scope_of(server_rec *s) { return ap_get_module_config(s->lookup_defaults, &auth_bound_module); }

/* Part of the configuration test, too. */
static int check(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary, server_rec *s)
{
    const ap_directive_t *place = find_auth_type(ap_conftree);
    const char *error = place ? core->configuration_complete(configuration) : NULL;

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
    for (server_rec *each = s; each; each = each->next)
        binds |= core->scope_is_on(configuration, scope_of(each), AB_DIRECTIVE_TOKEN_BINDING);
    if (!error)
        return OK;
    ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s, "%s:%d: AuthType Bound: %s", place->filename, place->line_num, error);
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* What outlives the readings of the configuration, since the module may be loaded anew with each:
 * the memory of keys, and the index. OpenSSL would go on calling functions of an index, so it has
 * none. */
typedef struct {
    int memory;
    int ssl_index;
} remembered;

static remembered *remember(server_rec *s)
{
    static const char note[] = "auth_bound";
    void *known = NULL;

    apr_pool_userdata_get(&known, note, s->process->pool);
    if (!known) {
        remembered *fresh = apr_palloc(s->process->pool, sizeof(*fresh));
        fresh->memory = -1;
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
    if (!error)
        known->memory = core->configuration_memory(configuration, known->memory);
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
    contexts++;
    if (ab_tls_offer(context, offering))
        return OK;
    ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s,
                 "BoundTokenBinding: the TLS extension is taken; expected no other module for Token Binding");
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* --- the serving process --- */

static void write_log(void *server, uint32_t level, const char *line)
{
    static const int levels[] = {APLOG_ERR, APLOG_ERR, APLOG_WARNING, APLOG_INFO};
    ap_log_error(APLOG_MARK, levels[level & 3], 0, (server_rec *)server, "%s", line);
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

/* After mod_ssl's handshake, before mod_http2 takes over: from then on several threads read what
 * is found here. */
static int look_at_client(conn_rec *c)
{
    connection *own = c->master || c->outgoing ? NULL : connection_of(c);
    if (own)
        ab_tls_refresh(core, &own->tls, own->ssl);
    return DECLINED;
}

/* The client of a request. HTTP/1.1 looks again, since mod_ssl may have renegotiated; HTTP/2
 * forbids that, and its streams must not touch the SSL. */
static ab_client *client_of(request_rec *r)
{
    connection *own = connection_of(r->connection);
    if (!own)
        return NULL;
    if (!r->connection->master && !ab_tls_refresh(core, &own->tls, own->ssl))
        return NULL;
    return own->tls.client;
}

/* --- effects --- */

static void apply(request_rec *r, const ab_effect *effect)
{
    switch (effect->target) {
    case AB_ENVIRONMENT:
        apr_table_setn(r->subprocess_env, effect->name, effect->value);
        break;
    case AB_REQUEST_HEADER:
        apr_table_setn(r->headers_in, effect->name, effect->value);
        break;
    case AB_RESPONSE_HEADER:
        apr_table_setn(r->err_headers_out, effect->name, effect->value);
        break;
    case AB_USER:
        r->user = apr_pstrdup(r->pool, effect->value); /* other modules change it in place */
        break;
    }
}

static void apply_decision(request_rec *r, const ab_decision *decision)
{
    ab_effect effect;
    for (size_t i = 0; core->decision_effect(decision, i, &effect); i++)
        apply(r, &effect);
}

/* Copies, since a certificate that changes takes its effects along while the request goes on. */
static void export_client(request_rec *r, ab_client *client)
{
    ab_effect effect;
    for (size_t i = 0; client && core->client_effect(client, i, &effect); i++)
        apr_table_set(r->subprocess_env, effect.name, effect.value);
}

/* --- refusals --- */

static ab_scope *scope_here(request_rec *r) { return ap_get_module_config(r->per_dir_config, &auth_bound_module); }

/* What is kept for a request, or NULL. */
static request *request_of(request_rec *r) { return ap_get_module_config(r->request_config, &auth_bound_module); }

static request *make_request(request_rec *r)
{
    request *own = request_of(r);
    if (!own) {
        own = apr_pcalloc(r->pool, sizeof(*own));
        ap_set_module_config(r->request_config, &auth_bound_module, own);
    }
    return own;
}

/* Makes `own->decision`'s refusal the response, unless the operator has an ErrorDocument. */
static int refuse(request_rec *r, request *own)
{
    static const int levels[] = {APLOG_ERR, APLOG_ERR, APLOG_WARNING, APLOG_INFO};
    uint32_t level = AB_LOG_ERROR;
    const char *line = core->decision_line(own->decision, &level);
    int status = core->decision_status(own->decision);

    ap_log_rerror(APLOG_MARK, levels[level & 3], 0, r, "%s", line ? line : no_decision);
    apply_decision(r, own->decision);
    own->body_is_ours = own->decision && !ap_response_code_string(r, ap_index_of_response(status));
    if (own->body_is_ours) {
        ab_text body = core->decision_body(own->decision);
        ap_custom_response(r, status, apr_pstrmemdup(r->pool, body.data, body.size));
    }
    return status;
}

static apr_status_t free_decision(void *decision)
{
    core->decision_free(decision);
    return APR_SUCCESS;
}

/* Refuses by a decision that is this request's to free. */
static int refuse_by(request_rec *r, ab_decision *decision)
{
    request *own = make_request(r);
    if (decision)
        apr_pool_cleanup_register(r->pool, decision, free_decision, apr_pool_cleanup_null);
    own->decision = decision;
    return refuse(r, own);
}

/* --- Token Binding --- */

static apr_status_t free_binding(void *binding)
{
    core->binding_free(binding);
    return APR_SUCCESS;
}

/* What the request, or the one that it is a part of or a redirect of, has proved. */
static ab_binding *binding_of(request_rec *r)
{
    for (; r; r = r->prev ? r->prev : r->main) {
        request *own = request_of(r);
        if (own && own->binding)
            return own->binding;
    }
    return NULL;
}

static void export_binding(request_rec *r, const ab_binding *binding)
{
    ab_effect effect;
    for (size_t i = 0; core->binding_effect(binding, i, &effect); i++)
        apply(r, &effect);
    for (size_t i = 0; core->binding_configured(configuration, scope_here(r), binding, i, &effect); i++)
        if (effect.target == AB_ENVIRONMENT)
            apply(r, &effect);
}

/* Now, since a renegotiation later in the request changes what its message was signed for. */
static int verify_binding(request_rec *r, ab_client *client, const apr_array_header_t *messages)
{
    ab_binding *binding = NULL;
    ab_decision *refusal = NULL;

    if (!core->binding_verify(configuration, scope_here(r), client, (const ab_text *)messages->elts, (size_t)messages->nelts,
                              &binding, &refusal))
        return refuse_by(r, refusal);
    if (binding) {
        make_request(r)->binding = binding;
        apr_pool_cleanup_register(r->pool, binding, free_binding, apr_pool_cleanup_null);
        export_binding(r, binding);
    }
    return DECLINED;
}

/* --- the request --- */

static int add_value(void *data, const char *name, const char *value)
{
    ab_text *text = apr_array_push(data);
    text->data = value;
    text->size = strlen(value);
    return 1;
}

/* First of all: what only we may say must not come from outside. */
static int read_request(request_rec *r)
{
    static const char message[] = "Sec-Token-Binding";
    const apr_array_header_t *headers = apr_table_elts(r->headers_in);
    apr_array_header_t messages = {r->pool, sizeof(ab_text), 0, 0, NULL};
    ab_client *client = client_of(r);

    for (int i = 0; i < headers->nelts;) {
        const char *name = APR_ARRAY_IDX(headers, i, apr_table_entry_t).key;
        if (!core->strips(configuration, name, strlen(name))) {
            i++;
            continue;
        }
        if (!r->prev && !ap_cstr_casecmp(name, message)) {
            messages = *apr_array_make(r->pool, 1, sizeof(ab_text));
            apr_table_do(add_value, &messages, r->headers_in, message, NULL);
        }
        apr_table_unset(r->headers_in, name);
    }
    export_client(r, client);
    if (!r->prev)
        return client ? verify_binding(r, client, &messages) : DECLINED;
    if (binding_of(r->prev))
        export_binding(r, binding_of(r->prev));
    return DECLINED;
}

static int asks_for_token(request_rec *r)
{
    const char *type = ap_auth_type(r);
    return type && !ap_cstr_casecmp(type, auth_type);
}

/* After mod_ssl's access check, which may have asked for a certificate only now. With SSLUserName it
 * has named a user too; a certificate is no token. */
static int export_after_access(request_rec *r)
{
    export_client(r, client_of(r));
    if (asks_for_token(r))
        r->user = NULL;
    return DECLINED;
}

static int authenticate(request_rec *r)
{
    if (!asks_for_token(r))
        return DECLINED;

    r->user = NULL;
    apr_array_header_t *values = apr_array_make(r->pool, 1, sizeof(ab_text));
    apr_table_do(add_value, values, r->headers_in, "Authorization", NULL);
    const char *realm = ap_auth_name(r);
    ab_text realm_text = {realm, realm ? strlen(realm) : 0};
    ab_decision *decision = core->decide(process, configuration, scope_here(r), client_of(r), binding_of(r),
                                         (ab_text *)values->elts, (size_t)values->nelts, realm_text);
    if (!decision)
        return refuse_by(r, NULL);
    request *own = make_request(r);
    own->decision = decision;
    apr_pool_cleanup_register(r->pool, decision, free_decision, apr_pool_cleanup_null);

    if (core->decision_state(own->decision) == AB_BLOCKED)
        core->decision_wait(own->decision); /* this thread is the request's own */
    if (core->decision_state(own->decision) != AB_GRANT)
        return refuse(r, own);
    r->ap_auth_type = (char *)auth_type;
    apply_decision(r, own->decision);
    if (!r->user)
        r->user = (char *)""; /* the server demands one; authorize() takes it away again */
    return OK;
}

/* Require bound-*. Before authentication nobody knows: then it is asked for. */
static authz_status check_requirement(request_rec *r, const char *line, const void *requirement)
{
    request *own = request_of(r);
    if (!own || core->decision_state(own->decision) != AB_GRANT)
        return AUTHZ_DENIED_NO_USER;
    int holds = core->requirement_holds(requirement, own->decision);
    return holds > 0 ? AUTHZ_GRANTED : holds ? AUTHZ_GENERAL_ERROR : AUTHZ_DENIED;
}

/* Whether not to meet the requirement is what is asked for: then it tells a client nothing. */
static int is_negated(apr_pool_t *pool, const ap_directive_t *directive)
{
    const char *args = directive->args;
    if (!ap_cstr_casecmp(ap_getword_conf(pool, &args), "not"))
        return 1;
    for (directive = directive->parent; directive; directive = directive->parent)
        if (!ap_cstr_casecmp(directive->directive, "<RequireNone"))
            return 1;
    return 0;
}

static const char *parse_requirement(cmd_parms *cmd, const char *line, const void **requirement)
{
    char **words;
    int count = 0;
    void *name = NULL;
    /* A requirement lives as long as the configuration, which .htaccess is read long after. */
    const char *error = ap_check_cmd_context(cmd, NOT_IN_HTACCESS);

    if (error)
        return error;
    apr_pool_userdata_get(&name, AUTHZ_PROVIDER_NAME_NOTE, cmd->temp_pool);
    apr_array_header_t *list = apr_array_make(cmd->temp_pool, 4, sizeof(char *));
    while (*line) {
        char *word = ap_getword_conf(cmd->temp_pool, &line);
        if (*word)
            *(char **)apr_array_push(list) = word;
    }
    words = (char **)list->elts;
    count = list->nelts;
    *requirement = core->requirement_new(configuration, name, texts(cmd->temp_pool, count, words), (size_t)count,
                                         is_negated(cmd->temp_pool, cmd->directive), &error);
    return *requirement ? NULL : apr_pstrcat(cmd->pool, "Require ", name, ": ", error ? error : "failed", NULL);
}

static const authz_provider requirement_provider = {check_requirement, parse_requirement};

/* A token that is good but does not suffice gets 403, where mod_authz_core would ask with 401 for
 * another user; so its authorization runs inside of ours. */
static int authorize(request_rec *r)
{
    request *own = request_of(r);
    if (!own || own->authorizing || core->decision_state(own->decision) != AB_GRANT)
        return DECLINED;
    if (r->user && !*r->user)
        r->user = NULL; /* a token that names no user is no valid-user */
    own->authorizing = 1;
    int status = ap_run_auth_checker(r);
    own->authorizing = 0;
    if (status != HTTP_UNAUTHORIZED && status != HTTP_FORBIDDEN)
        return status;
    core->decision_insufficient(own->decision);
    return refuse(r, own);
}

/* An internal redirect to where the same configuration holds skips authentication, so what it had
 * exported is exported again. */
static void export_again(request_rec *r)
{
    request *before = request_of(r->prev), *own = request_of(r);

    if (before && before->decision && !(own && own->decision) && r->prev->per_dir_config == r->per_dir_config &&
        core->decision_state(before->decision) == AB_GRANT) {
        make_request(r)->decision = before->decision;
        apply_decision(r, before->decision);
    }
    export_client(r, client_of(r));
}

/* Last before the handler. */
static int finish(request_rec *r)
{
    ab_binding *binding = binding_of(r);
    ab_decision *refusal = NULL;
    ab_effect effect;

    if (!core->binding_suffices(configuration, scope_here(r), binding, &refusal))
        return refuse_by(r, refusal);
    if (r->prev)
        export_again(r);
    connection *own = connection_of(r->connection);
    for (size_t i = 0; own && core->client_header(configuration, scope_here(r), own->tls.client, i, &effect); i++)
        apr_table_set(r->headers_in, effect.name, effect.value);
    for (size_t i = 0; core->binding_configured(configuration, scope_here(r), binding, i, &effect); i++)
        apply(r, &effect);
    return DECLINED;
}

/* --- the response --- */

static apr_status_t write_response_header(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    request_rec *r = filter->r;
    ab_effect effect;

    if (core->binding_response(configuration, scope_here(r), binding_of(r), r->status, &effect))
        apply(r, &effect);
    ap_remove_output_filter(filter);
    return ap_pass_brigade(filter->next, brigade);
}

/* Only a redirect may get the header; its status is known when it passes by. */
static void watch_response(request_rec *r)
{
    ab_effect effect;
    if (core->binding_response(configuration, scope_here(r), binding_of(r), HTTP_MOVED_TEMPORARILY, &effect))
        ap_add_output_filter_handle(response_filter, NULL, r, r->connection);
}

/* The server writes error responses as HTML; the media type is settled only when they pass by. */
static apr_status_t write_json(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    ap_set_content_type(filter->r, "application/json");
    ap_remove_output_filter(filter);
    return ap_pass_brigade(filter->next, brigade);
}

static void watch_error(request_rec *r)
{
    request *own = request_of(r);
    if (own && own->body_is_ours && r->status == core->decision_status(own->decision))
        ap_add_output_filter_handle(json_filter, NULL, r, r->connection);
    watch_response(r);
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
    static const char *const readers_after[] = {"mod_headers.c", "mod_setenvif.c", "mod_auth_openidc.c", NULL};
    static const char *const requirements[] = {"bound-scope", "bound-claim", "bound-proof"};

    core = table;
    configuration = core->configuration_new();
    apr_pool_cleanup_register(pool, configuration, free_configuration, apr_pool_cleanup_null);

    json_filter = ap_register_output_filter("AUTH_BOUND_JSON", write_json, NULL, AP_FTYPE_CONTENT_SET);
    ap_hook_check_config(check, NULL, NULL, APR_HOOK_MIDDLE);
    response_filter = ap_register_output_filter("AUTH_BOUND_RESPONSE", write_response_header, NULL, AP_FTYPE_CONTENT_SET);
    ap_hook_post_config(settle, ssl_first, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(start_process, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ssl, init_server, offer_token_binding, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ssl, pre_handshake, keep_ssl, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_process_connection(look_at_client, ssl_first, http_after, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(read_request, NULL, readers_after, APR_HOOK_REALLY_FIRST);
    ap_hook_check_access(export_after_access, ssl_first, NULL, APR_HOOK_LAST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authn(authenticate, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authz(authorize, NULL, NULL, APR_HOOK_REALLY_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_fixups(finish, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_insert_filter(watch_response, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_insert_error_filter(watch_error, NULL, NULL, APR_HOOK_MIDDLE);
    for (size_t i = 0; i < sizeof(requirements) / sizeof(*requirements); i++)
        ap_register_auth_provider(pool, AUTHZ_PROVIDER_GROUP, requirements[i], AUTHZ_PROVIDER_VERSION, &requirement_provider,
                                  AP_AUTH_INTERNAL_PER_CONF);
}

void *ab_create_scope(apr_pool_t *pool, char *place) { return create_scope(pool, place); }
void *ab_merge_scopes(apr_pool_t *pool, void *outer, void *inner) { return merge_scopes(pool, outer, inner); }
