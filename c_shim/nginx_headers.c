/* Headers in NGINX: found, added, and taken out. */

#include "nginx.h"

/* NGINX sends the list to backends as it is, so it is not enough to mark a header; and NGINX keeps
 * pointers to headers, so none may move. Therefore the list is cut in two around each. */
ngx_int_t ab_remove_headers(ngx_http_request_t *r, ngx_uint_t (*is_one)(ngx_http_request_t *, const ngx_table_elt_t *))
{
    ngx_list_t *list = &r->headers_in.headers;
    ngx_list_part_t *part, *behind;
    ngx_uint_t removed = 0;

    for (part = &list->part; part; part = part->next) {
        ngx_table_elt_t *headers = part->elts;
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (!is_one(r, &headers[i]))
                continue;
            behind = ngx_palloc(r->pool, sizeof(*behind));
            if (!behind)
                return NGX_ERROR;
            behind->elts = &headers[i + 1];
            behind->nelts = part->nelts - i - 1;
            behind->next = part->next;
            part->next = behind;
            part->nelts = i;
            /* For whoever has a pointer to it. */
            headers[i].hash = 0;
            ngx_str_set(&headers[i].value, "");
            removed = 1;
        }
    }
    if (!removed)
        return NGX_OK;
    /* NGINX's loops expect no empty part but the first. */
    for (part = &list->part; part->next;) {
        if (part->next->nelts)
            part = part->next;
        else
            part->next = part->next->next;
    }
    /* The next header begins a part of its own, as if this one were full. */
    list->last = part;
    list->nalloc = part->nelts ? part->nelts : 1;
    return NGX_OK;
}

ngx_table_elt_t *ab_add_header(ngx_http_request_t *r, ngx_list_t *list, ngx_str_t name, ngx_str_t value)
{
    u_char *lowcase = ngx_pnalloc(r->pool, name.len);
    ngx_table_elt_t *header = lowcase ? ngx_list_push(list) : NULL;

    if (!header)
        return NULL;
    ngx_memzero(header, sizeof(*header)); /* since 1.23 there is also a link to the next of a name */
    header->hash = ngx_hash_strlow(lowcase, name.data, name.len);
    header->lowcase_key = lowcase;
    header->key = name;
    header->value = value;
    return header;
}

ngx_int_t ab_add_effect(ngx_http_request_t *r, ngx_list_t *list, const ab_effect *effect)
{
    ngx_str_t name = {ngx_strlen(effect->name), (u_char *)effect->name};
    ngx_str_t value = {ngx_strlen(effect->value), (u_char *)effect->value};
    return ab_add_header(r, list, name, value) ? NGX_OK : NGX_ERROR;
}

ngx_array_t *ab_values(ngx_http_request_t *r, ngx_list_t *list, const ngx_str_t *name)
{
    ngx_array_t *values = ngx_array_create(r->pool, 1, sizeof(ab_text));

    for (ngx_list_part_t *part = &list->part; values && part; part = part->next) {
        ngx_table_elt_t *headers = part->elts;
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (!headers[i].hash || headers[i].key.len != name->len ||
                ngx_strncasecmp(headers[i].key.data, name->data, name->len) != 0)
                continue;
            ab_text *value = ngx_array_push(values);
            if (!value)
                return NULL;
            value->data = (char *)headers[i].value.data;
            value->size = headers[i].value.len;
        }
    }
    return values;
}
