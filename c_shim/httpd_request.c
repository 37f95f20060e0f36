/* Requests in httpd: headers in, the decision, headers out. */

#include "httpd.h"

static const char no_decision[] = "AB1902 internal-error: no decision; see the AB lines since the start";

static ap_filter_rec_t *json_filter, *response_filter;

/* --- effects --- */

void ab_apply(request_rec *r, const ab_effect *effect)
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
        ab_apply(r, &effect);
}

/* Copies, since a certificate that changes takes its effects along while the request goes on. */
static void export_client(request_rec *r, ab_client *client)
{
    ab_effect effect;
    for (size_t i = 0; client && core->client_effect(client, i, &effect); i++)
        apr_table_set(r->subprocess_env, effect.name, effect.value);
}

static int add_value(void *values, const char *name, const char *value)
{
    ab_text *text = apr_array_push(values);
    text->data = value;
    text->size = strlen(value);
    return 1;
}

apr_array_header_t *ab_values(request_rec *r, const apr_table_t *table, const char *name)
{
    apr_array_header_t *values = apr_array_make(r->pool, 1, sizeof(ab_text));
    apr_table_do(add_value, values, table, name, NULL);
    return values;
}

/* --- refusals --- */

ab_scope *ab_scope_here(request_rec *r) { return ap_get_module_config(r->per_dir_config, &auth_bound_module); }

ab_request *ab_request_of(request_rec *r) { return ap_get_module_config(r->request_config, &auth_bound_module); }

ab_request *ab_make_request(request_rec *r)
{
    ab_request *own = ab_request_of(r);
    if (!own) {
        own = apr_pcalloc(r->pool, sizeof(*own));
        ap_set_module_config(r->request_config, &auth_bound_module, own);
    }
    return own;
}

/* Makes `own->decision`'s refusal the response, unless the operator has an ErrorDocument, which cannot
 * be the end of a gRPC call. */
static int refuse(request_rec *r, ab_request *own)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    ab_text content_type = {type, type ? strlen(type) : 0};
    uint32_t level = AB_LOG_ERROR;
    const char *line = core->decision_line(own->decision, &level);
    int status = core->decision_status(own->decision);

    ap_log_rerror(APLOG_MARK, ab_level(level), 0, r, "%s", line ? line : no_decision);
    own->grpc = core->decision_is_grpc(own->decision, content_type, (uint32_t)r->proto_num);
    apply_decision(r, own->decision);
    own->body_is_ours = own->decision && (own->grpc || !ap_response_code_string(r, ap_index_of_response(status)));
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

int ab_refuse_by(request_rec *r, ab_decision *decision)
{
    ab_request *own = ab_make_request(r);
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

request_rec *ab_before(request_rec *r) { return r->prev ? r->prev : r->main; }

ab_binding *ab_binding_of(request_rec *r)
{
    for (; r; r = ab_before(r)) {
        ab_request *own = ab_request_of(r);
        if (own && own->binding)
            return own->binding;
    }
    return NULL;
}

static void export_binding(request_rec *r, const ab_binding *binding)
{
    ab_effect effect;
    for (size_t i = 0; core->binding_effect(binding, i, &effect); i++)
        ab_apply(r, &effect);
}

/* What the location asks for besides: names in the environment as soon as it is known, headers for
 * the backend last of all. */
static void export_configured(request_rec *r, uint32_t target)
{
    const ab_binding *binding = ab_binding_of(r);
    ab_effect effect;
    for (size_t i = 0; core->binding_configured(configuration, ab_scope_here(r), binding, i, &effect); i++)
        if (effect.target == target)
            ab_apply(r, &effect);
}

/* A subrequest has a copy of the headers that the location around it set. */
static void unset_headers(request_rec *r)
{
    static const char *const names[] = {
#define AB_VARIABLE(name)
#define AB_HEADER(name) name,
#include "exports.def"
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        apr_table_unset(r->headers_in, names[i]);
}

/* Now, since a renegotiation later in the request changes what its message was signed for. */
static int verify_binding(request_rec *r, ab_client *client, const apr_array_header_t *messages)
{
    ab_binding *binding = NULL;
    ab_decision *refusal = NULL;

    if (!core->binding_verify(configuration, ab_scope_here(r), client, (const ab_text *)messages->elts, (size_t)messages->nelts,
                              &binding, &refusal))
        return ab_refuse_by(r, refusal);
    if (binding) {
        ab_make_request(r)->binding = binding;
        apr_pool_cleanup_register(r->pool, binding, free_binding, apr_pool_cleanup_null);
        export_binding(r, binding);
    }
    return DECLINED;
}

/* --- the request --- */

/* First of all: what only we may say must not come from outside. */
static int read_request(request_rec *r)
{
    static const char message[] = "Sec-Token-Binding";
    static const apr_array_header_t none = {NULL, sizeof(ab_text), 0, 0, NULL};
    const apr_array_header_t *headers = apr_table_elts(r->headers_in);
    const apr_array_header_t *messages = &none;
    ab_client *client = ab_client_of(r);

    for (int i = 0; i < headers->nelts;) {
        const char *name = APR_ARRAY_IDX(headers, i, apr_table_entry_t).key;
        if (!core->strips(configuration, name, strlen(name))) {
            i++;
            continue;
        }
        if (!r->prev && !ap_cstr_casecmp(name, message))
            messages = ab_values(r, r->headers_in, message);
        apr_table_unset(r->headers_in, name);
    }
    export_client(r, client);
    if (!r->prev)
        return client ? verify_binding(r, client, messages) : DECLINED;
    if (ab_binding_of(r->prev))
        export_binding(r, ab_binding_of(r->prev));
    return DECLINED;
}

static int asks_for_token(request_rec *r)
{
    const char *type = ap_auth_type(r);
    return type && !ap_cstr_casecmp(type, ab_auth_type);
}

/* What is asked of a request whether or not it bears a token. Twice: another module may keep httpd
 * from the access check, and let the request in. */
static int admit(request_rec *r)
{
    ab_decision *refusal = NULL;
    if (!core->binding_suffices(configuration, ab_scope_here(r), ab_binding_of(r), &refusal))
        return ab_refuse_by(r, refusal);
    export_configured(r, AB_ENVIRONMENT);
    return ab_open_cookies(r);
}

/* After mod_ssl's access check, which may have asked for a certificate only now, and with SSLUserName
 * has named a user too: a certificate is no token. Cookies may be bound to the certificate. */
static int export_after_access(request_rec *r)
{
    export_client(r, ab_client_of(r));
    if (asks_for_token(r))
        r->user = NULL;
    return admit(r);
}

static int authenticate(request_rec *r)
{
    if (!asks_for_token(r))
        return DECLINED;

    r->user = NULL;
    apr_array_header_t *values = ab_values(r, r->headers_in, "Authorization");
    const char *realm = ap_auth_name(r);
    ab_text realm_text = {realm, realm ? strlen(realm) : 0};
    ab_decision *decision = core->decide(process, configuration, ab_scope_here(r), ab_client_of(r), ab_binding_of(r),
                                         (ab_text *)values->elts, (size_t)values->nelts, realm_text);
    if (!decision)
        return ab_refuse_by(r, NULL);
    ab_request *own = ab_make_request(r);
    own->decision = decision;
    apr_pool_cleanup_register(r->pool, decision, free_decision, apr_pool_cleanup_null);

    if (core->decision_state(own->decision) == AB_BLOCKED)
        core->decision_wait(own->decision); /* this thread is the request's own */
    if (core->decision_state(own->decision) != AB_GRANT)
        return refuse(r, own);
    r->ap_auth_type = (char *)ab_auth_type;
    apply_decision(r, own->decision);
    if (!r->user)
        r->user = (char *)""; /* the server demands one; authorize() takes it away again */
    return OK;
}

/* Require bound-*. Before authentication nobody knows: then it is asked for. */
static authz_status check_requirement(request_rec *r, const char *line, const void *requirement)
{
    ab_request *own = ab_request_of(r);
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
    *requirement = core->requirement_new(configuration, name, ab_texts(cmd->temp_pool, count, words), (size_t)count,
                                         is_negated(cmd->temp_pool, cmd->directive), &error);
    return *requirement ? NULL : apr_pstrcat(cmd->pool, "Require ", name, ": ", error ? error : "failed", NULL);
}

static const authz_provider requirement_provider = {check_requirement, parse_requirement};

/* A token that is good but does not suffice gets 403, where mod_authz_core would ask with 401 for
 * another user; so its authorization runs inside of ours. */
static int authorize(request_rec *r)
{
    ab_request *own = ab_request_of(r);
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
    ab_request *before = ab_request_of(r->prev), *own = ab_request_of(r);

    if (before && before->decision && !(own && own->decision) && r->prev->per_dir_config == r->per_dir_config &&
        core->decision_state(before->decision) == AB_GRANT) {
        ab_make_request(r)->decision = before->decision;
        apply_decision(r, before->decision);
    }
    export_client(r, ab_client_of(r));
}

/* The headers that the location sets for the backend, in place of those of another. */
static void set_headers(request_rec *r, int others)
{
    ab_effect effect;

    if (others)
        unset_headers(r);
    for (size_t i = 0; core->client_header(configuration, ab_scope_here(r), ab_known_client(r), i, &effect); i++)
        apr_table_set(r->headers_in, effect.name, effect.value);
    export_configured(r, AB_REQUEST_HEADER);
}

/* Last before the handler. */
static int finish(request_rec *r)
{
    int status = admit(r);

    if (status != DECLINED)
        return status;
    if (r->prev)
        export_again(r);
    set_headers(r, ab_before(r) != NULL);
    if (ab_known_client(r))
        ab_make_request(r)->finished = ab_scope_here(r);
    return DECLINED;
}

/* mod_dir and mod_negotiation put the settings of another file under a request that is past all of
 * the above. */
static int follow(request_rec *r)
{
    ab_request *own = ab_request_of(r);

    if (own && own->finished && own->finished != ab_scope_here(r)) {
        set_headers(r, 1);
        own->finished = ab_scope_here(r);
    }
    return ab_open_cookies(r);
}

/* --- the response --- */

static apr_status_t write_response_header(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    request_rec *r = filter->r;
    ab_effect effect;

    if (core->binding_response(configuration, ab_scope_here(r), ab_binding_of(r), r->status, &effect))
        ab_apply(r, &effect);
    ap_remove_output_filter(filter);
    return ap_pass_brigade(filter->next, brigade);
}

/* Only a redirect may get the header; its status is known when it passes by. */
static void watch_response(request_rec *r)
{
    ab_effect effect;
    if (core->binding_response(configuration, ab_scope_here(r), ab_binding_of(r), HTTP_MOVED_TEMPORARILY, &effect))
        ap_add_output_filter_handle(response_filter, NULL, r, r->connection);
    ab_watch_cookies(r);
}

/* The server writes error responses as HTML; the media type is settled only when they pass by. */
static apr_status_t write_json(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    request_rec *r = filter->r;

    if (ab_request_of(r)->grpc) {
        r->status = HTTP_OK;
        ap_set_content_type(r, AB_GRPC_TYPE);
    } else {
        ap_set_content_type(r, "application/json");
    }
    ap_remove_output_filter(filter);
    return ap_pass_brigade(filter->next, brigade);
}

static void watch_error(request_rec *r)
{
    ab_request *own = ab_request_of(r);
    if (own && own->body_is_ours && r->status == core->decision_status(own->decision))
        ap_add_output_filter_handle(json_filter, NULL, r, r->connection);
    watch_response(r);
}

/* --- registration --- */

void ab_hook_requests(apr_pool_t *pool)
{
    static const char *const ssl_first[] = {"mod_ssl.c", NULL};
    static const char *const readers_after[] = {"mod_headers.c", "mod_setenvif.c", "mod_auth_openidc.c", NULL};
    static const char *const requirements[] = {"bound-scope", "bound-claim", "bound-proof"};

    json_filter = ap_register_output_filter("AUTH_BOUND_JSON", write_json, NULL, AP_FTYPE_CONTENT_SET);
    response_filter = ap_register_output_filter("AUTH_BOUND_RESPONSE", write_response_header, NULL, AP_FTYPE_CONTENT_SET);
    ap_hook_post_read_request(read_request, NULL, readers_after, APR_HOOK_REALLY_FIRST);
    ap_hook_check_access(export_after_access, ssl_first, NULL, APR_HOOK_LAST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authn(authenticate, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authz(authorize, NULL, NULL, APR_HOOK_REALLY_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_fixups(finish, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_handler(follow, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_insert_filter(watch_response, NULL, NULL, APR_HOOK_LAST);
    ap_hook_insert_error_filter(watch_error, NULL, NULL, APR_HOOK_LAST);
    ab_hook_cookies();
    ab_hook_endpoints();
    for (size_t i = 0; i < sizeof(requirements) / sizeof(*requirements); i++)
        ap_register_auth_provider(pool, AUTHZ_PROVIDER_GROUP, requirements[i], AUTHZ_PROVIDER_VERSION, &requirement_provider,
                                  AP_AUTH_INTERNAL_PER_CONF);
}
