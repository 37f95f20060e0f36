/* Variables: what the core exports, under its name in lower case. */

#include "nginx.h"

/* NGINX has no hyphens in the names of variables. */
static u_char folded(char letter) { return letter == '-' ? '_' : ngx_tolower((u_char)letter); }

static int is(const ab_effect *effect, uint32_t target, const ngx_str_t *name)
{
    size_t i = 0;

    if (effect->target != target)
        return 0;
    while (i < name->len && folded(effect->name[i]) == folded((char)name->data[i]))
        i++;
    return i == name->len && !effect->name[i];
}

/* The value lives as long as the request: a decision does, and no certificate changes during one,
 * since NGINX neither renegotiates nor asks for a certificate after the handshake. */
static const char *exported(ngx_http_request_t *r, uint32_t target, const ngx_str_t *name)
{
    ab_location *place = ngx_http_get_module_loc_conf(r, ngx_http_auth_bound_module);
    const ab_decision *decision = ab_decision_of(r);
    ab_effect effect;

    for (size_t i = 0; core->decision_effect(decision, i, &effect); i++)
        if (is(&effect, target, name))
            return effect.value;
    /* Only a token names a user. */
    if (target == AB_USER)
        return NULL;
    const ab_binding *binding = ab_binding_of(r);
    for (size_t i = 0; core->binding_effect(binding, i, &effect); i++)
        if (is(&effect, target, name))
            return effect.value;
    for (size_t i = 0; core->binding_configured(place->configuration, place->scope, binding, i, &effect); i++)
        if (is(&effect, target, name))
            return effect.value;
    const ab_cookies *cookies = ab_cookies_of(r);
    for (size_t i = 0; core->cookies_effect(cookies, i, &effect); i++)
        if (is(&effect, target, name))
            return effect.value;
    const ab_client *client = ab_client_of(r);
    for (size_t i = 0; core->client_effect(client, i, &effect); i++)
        if (is(&effect, target, name))
            return effect.value;
    return NULL;
}

static ngx_int_t give(ngx_http_variable_value_t *variable, const char *value)
{
    ngx_memzero(variable, sizeof(*variable));
    variable->valid = value != NULL;
    variable->not_found = value == NULL;
    variable->len = value ? ngx_strlen(value) : 0;
    variable->data = (u_char *)value;
    return NGX_OK;
}

static ngx_int_t get_exported(ngx_http_request_t *r, ngx_http_variable_value_t *variable, uintptr_t name)
{
    return give(variable, exported(r, AB_ENVIRONMENT, (const ngx_str_t *)name));
}

/* NGINX reads the user from the Authorization header each time it is asked, so that it would not
 * help to write r->headers_in.user. */
static ngx_int_t get_user(ngx_http_request_t *r, ngx_http_variable_value_t *variable, uintptr_t data)
{
    static const ngx_str_t nameless = ngx_null_string;
    ab_main *http = ngx_http_get_module_main_conf(r, ngx_http_auth_bound_module);
    const char *user = exported(r, AB_USER, &nameless);

    return user ? give(variable, user) : http->remote_user(r, variable, data);
}

static ngx_http_variable_t *find(ngx_conf_t *cf, const ngx_str_t *name)
{
    ngx_http_core_main_conf_t *http = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_hash_key_t *keys = http->variables_keys->keys.elts;

    for (ngx_uint_t i = 0; i < http->variables_keys->keys.nelts; i++)
        if (keys[i].key.len == name->len && ngx_strncasecmp(keys[i].key.data, name->data, name->len) == 0)
            return keys[i].value;
    return NULL;
}

/* What is exported is known only after the access phase; a map or a condition may ask before. */
static ngx_int_t add(ngx_conf_t *cf, ngx_str_t *name, ngx_uint_t flags)
{
    ngx_http_variable_t *variable = ngx_http_add_variable(cf, name, flags | NGX_HTTP_VAR_NOCACHEABLE);

    if (!variable)
        return NGX_ERROR;
    if (variable->get_handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "the variable \"%V\" is already something else", name);
        return NGX_ERROR;
    }
    variable->get_handler = get_exported;
    variable->data = (uintptr_t)&variable->name; /* NGINX puts the whole name here for a prefix */
    return NGX_OK;
}

ngx_int_t ab_add_variables(ngx_conf_t *cf)
{
    static ngx_str_t names[] = {
#define AB_VARIABLE(name) ngx_string(name),
#define AB_HEADER(name)
#include "exports.def"
    };
    static ngx_str_t claims = ngx_string("bound_claim_"), user = ngx_string("remote_user");
    ab_main *http = ngx_http_conf_get_module_main_conf(cf, ngx_http_auth_bound_module);
    ngx_http_variable_t *remote_user = find(cf, &user);

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (add(cf, &names[i], 0) != NGX_OK)
            return NGX_ERROR;
    if (!remote_user || add(cf, &claims, NGX_HTTP_VAR_PREFIX) != NGX_OK)
        return NGX_ERROR;
    http->remote_user = remote_user->get_handler;
    remote_user->get_handler = get_user;
    remote_user->flags |= NGX_HTTP_VAR_NOCACHEABLE;
    return NGX_OK;
}

char *ab_add_exported(ngx_conf_t *cf, ngx_str_t *name)
{
    for (size_t i = 0; i < name->len; i++)
        name->data[i] = folded((char)name->data[i]);

    ngx_http_variable_t *variable = find(cf, name);

    /* Another location exports under this name too. */
    if (variable && variable->get_handler == get_exported)
        return NGX_CONF_OK;
    return add(cf, name, 0) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}
