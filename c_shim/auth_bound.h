/* The boundary between the Rust core and the servers' shims.
 *
 * The core hands the shim one table of functions; it calls nothing of the server but the log
 * function it is given. Rules that hold throughout:
 *   - text is a pointer and a size, borrowed for the call, unless it says "ends with NUL";
 *   - what a function returns belongs to what it was asked of and lives as long;
 *   - NULL goes in where nothing is known (no client, no realm) and is safe for every pointer;
 *   - zero means no, none or refuse: memory that was never written grants nothing. */
#ifndef AUTH_BOUND_H
#define AUTH_BOUND_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *data;
    size_t size;
} ab_text;

typedef struct ab_configuration ab_configuration; /* one reading of the configuration */
typedef struct ab_scope ab_scope;                 /* the directives of one section */
typedef struct ab_process ab_process;             /* a process that serves requests: cache, threads */
typedef struct ab_client ab_client;               /* what one connection proved */
typedef struct ab_binding ab_binding;             /* what one request proved by Token Binding */
typedef struct ab_cookies ab_cookies;             /* the protected cookies of one request */
typedef struct ab_sealed ab_sealed;               /* those of its response */
typedef struct ab_decision ab_decision;           /* the decision about one request */
typedef struct ab_requirement ab_requirement;     /* one Require line */
typedef struct ab_answer ab_answer;           /* what an endpoint of ours answers */

enum { AB_REFUSE = 0, AB_GRANT = 1, AB_BLOCKED = 2 };                        /* ab_core.state */
enum { AB_ENVIRONMENT = 1, AB_REQUEST_HEADER, AB_RESPONSE_HEADER, AB_USER }; /* ab_effect.target */
enum { AB_LOG_ERROR = 1, AB_LOG_WARN, AB_LOG_INFO };
enum { AB_TOKEN_EXCHANGE = 1, AB_JWK_SET, AB_METADATA }; /* the endpoints that are ours */
enum { AB_MEMORY_OF_KEYS, AB_MEMORY_OF_REPLAYS, AB_MEMORIES };

/* One thing to do to the request. Both strings end with NUL. */
typedef struct {
    uint32_t target;
    const char *name;
    const char *value;
} ab_effect;

/* The media type of a refusal that ends a gRPC call. */
#define AB_GRPC_TYPE "application/grpc"

/* Most scopes that a response's cookies are sealed by. */
#define AB_MAX_SCOPES 8

/* What a request asks for, and who asks. */
typedef struct {
    const ab_client *client;
    const ab_binding *binding;
    ab_text host; /* with or without a port */
    ab_text path; /* as it was sent, without the query */
} ab_visit;

/* A request to an endpoint of ours. */
typedef struct {
    const ab_client *client;
    const ab_binding *binding;
    ab_text verified; /* the server's word on the chain of the client's certificate: SUCCESS, or another */
    ab_text method;
    ab_text content_type; /* without data: there is none */
    const ab_text *authorization;
    size_t authorization_count;
    ab_text body;
    int truncated; /* whether there is more of the body, which was not read */
    ab_text realm;
} ab_call;

/* Writes a line to the server's log; called from threads of the core too. */
typedef void ab_log(void *server, uint32_t level, const char *line);

/* The core. No function lets a panic out. */
typedef struct {
    /* A configuration, and its end with all of its scopes and requirements. */
    ab_configuration *(*configuration_new)(void);
    void (*configuration_free)(ab_configuration *);
    /* A new scope; NULL once the configuration is settled, or if memory or the core fails. */
    ab_scope *(*scope_new)(ab_configuration *);
    /* Takes a directive by its number; NULL, or what is wrong with it (ends with NUL, valid until
     * the next call on this configuration). */
    const char *(*scope_set)(ab_configuration *, ab_scope *, size_t directive, const ab_text *arguments, size_t count);
    /* The scope that holds where `inner` stands inside of `outer`: the same each time, and the
     * configuration's, unless *given is set: then it is the caller's to free. Safe to call while
     * requests are served. */
    ab_scope *(*scope_merge)(ab_configuration *, ab_scope *outer, ab_scope *inner, int *given);
    void (*scope_free)(ab_scope *);
    /* NULL if tokens can be checked here, or what is missing (as for scope_set). */
    const char *(*scope_complete)(ab_configuration *, ab_scope *);
    /* A toggle or a word of a scope, by the directive's number; see directives.def. */
    int (*scope_is_on)(ab_configuration *, ab_scope *, size_t directive);
    ab_text (*scope_word)(ab_configuration *, ab_scope *, size_t directive);
    /* NULL if there can be a place where tokens are checked, all scopes taken together (for httpd,
     * which settles only at a request which of them apply), or what is missing everywhere. */
    const char *(*configuration_complete)(ab_configuration *);
    /* NULL if there is a secret for the cookies that this scope protects, or without a scope for any
     * of them; or what is missing (as for scope_set). */
    const char *(*cookies_complete)(ab_configuration *, ab_scope *);
    /* Whether the scope protects cookies. */
    int (*scope_protects)(ab_configuration *, ab_scope *);
    /* Ends the reading: the names to strip are known. NULL, or what is wrong (as for scope_set). */
    const char *(*configuration_settle)(ab_configuration *);
    /* A memory that the processes share (AB_MEMORY_OF_*), as a file descriptor: `inherited` of an
     * earlier reading by this server, or a new one if that is negative. It stays open for good. To
     * be called before the processes are forked. Negative if there is none: then each process
     * fetches keys for itself, and assertions, which are good for one use, are refused. */
    int (*configuration_memory)(ab_configuration *, uint32_t which, int inherited);
    /* Whether an incoming header of this name is to be removed. */
    int (*strips)(const ab_configuration *, const char *name, size_t size);

    /* Starts what a serving process needs, after the fork; `global` is the outermost scope.
     * NULL if it fails; the reason has been logged. All signals must be blocked meanwhile. */
    ab_process *(*process_start)(ab_configuration *, ab_scope *global, ab_log *, void *server);
    /* Ends its threads. Frees nothing, so that it may run in a signal handler: the process ends. */
    void (*process_stop)(ab_process *);
    /* Frees it, once nothing waits any more; for those who are in no signal handler. */
    void (*process_free)(ab_process *);

    /* One TLS connection's client. */
    ab_client *(*client_new)(void);
    void (*client_free)(ab_client *);
    /* The certificate (DER) that the handshake proved, with its chain behind it; none if count is 0. */
    void (*client_present)(ab_client *, const ab_text *certificates, size_t count);
    /* The body of the server's extension token_binding, four bytes, for that of a client: 1, or 0 if
     * none is to be sent, or negative if `offer` is malformed. Without a scope it only looks. */
    int (*token_binding_answer)(ab_configuration *, ab_scope *, ab_text offer, uint8_t *answer);
    /* What the last handshake negotiated: the body that was sent, and the exporter. Empty texts say
     * that it negotiated nothing. */
    void (*client_negotiated)(ab_client *, ab_text answer, ab_text ekm);
    /* Effects on every request of the connection; 0 when there is no more. */
    int (*client_effect)(const ab_client *, size_t index, ab_effect *);
    /* Effects that this scope asks for besides (RFC 9440 headers). */
    int (*client_header)(ab_configuration *, ab_scope *, const ab_client *, size_t index, ab_effect *);

    /* Judges the Sec-Token-Binding headers of a request where `scope` holds. 1: the request goes on,
     * and *binding, unless it was left alone, is what it proved. 0: it is refused by *refusal, or
     * with 500 if that was left alone. */
    int (*binding_verify)(ab_configuration *, ab_scope *, ab_client *, const ab_text *headers, size_t count,
                          ab_binding **binding, ab_decision **refusal);
    void (*binding_free)(ab_binding *);
    /* Effects on the request wherever it goes; 0 when there is no more. */
    int (*binding_effect)(const ab_binding *, size_t index, ab_effect *);
    /* Effects that this scope asks for besides. */
    int (*binding_configured)(ab_configuration *, ab_scope *, const ab_binding *, size_t index, ab_effect *);
    /* An effect on the response, by its status; 0 if there is none. */
    int (*binding_response)(ab_configuration *, ab_scope *, const ab_binding *, int status, ab_effect *);
    /* Whether that is enough for this scope: 1, or 0 as in binding_verify. */
    int (*binding_suffices)(ab_configuration *, ab_scope *, const ab_binding *, ab_decision **refusal);

    /* Opens the cookies of a request; `headers` are its Cookie headers. 1: the request goes on, and
     * *cookies, unless it was left alone, is what came of them. 0: it is refused as in
     * binding_verify; *cookies may be set all the same. */
    int (*cookies_open)(ab_configuration *, ab_scope *, const ab_visit *, const ab_text *headers, size_t count,
                        ab_cookies **cookies, ab_decision **refusal);
    void (*cookies_free)(ab_cookies *);
    /* What becomes of a Cookie header: 0, it stays; 1, it gets *value; negative, it goes. */
    int (*cookies_header)(const ab_cookies *, size_t index, ab_text *value);
    /* What they export; 0 when there is no more. */
    int (*cookies_effect)(const ab_cookies *, size_t index, ab_effect *);
    /* What is to be logged; NULL when there is no more. */
    const char *(*cookies_line)(const ab_cookies *, size_t index, uint32_t *level);
    /* Seals the cookies of a response, each by the first of `scopes` that protects it: those that the
     * request passed, the last one first. `headers` are all Set-Cookie headers, `before` came of the
     * request. 1: they stay, or are replaced by *sealed if that was set. 0: it failed, and none
     * of them may leave. */
    int (*cookies_seal)(ab_configuration *, ab_scope *const *scopes, size_t scope_count, const ab_visit *,
                        const ab_cookies *before, const ab_text *headers, size_t count, ab_sealed **sealed);
    void (*sealed_free)(ab_sealed *);
    /* The headers in their order, and what is to be logged. Without data, or NULL, there is no more. */
    ab_text (*sealed_header)(const ab_sealed *, size_t index);
    const char *(*sealed_line)(const ab_sealed *, size_t index, uint32_t *level);

    /* Decides about a request. Never NULL but when memory or the core fails: refuse with 500. */
    ab_decision *(*decide)(ab_process *, ab_configuration *, ab_scope *, ab_client *, const ab_binding *,
                           const ab_text *authorization, size_t count, ab_text realm);
    void (*decision_free)(ab_decision *);
    int (*decision_state)(const ab_decision *);
    /* For a blocked decision: waits for what it needs, no longer than key-wait, and decides. The
     * one function that blocks; it touches nothing of the server. */
    void (*decision_wait)(ab_decision *);
    /* For one that cannot be waited for, since too many others wait: it is a refusal from here on. */
    void (*decision_overload)(ab_decision *);
    /* Whether a refusal is the end of a gRPC call, by the request's Content-Type and the version of
     * HTTP (1000 * major + minor): it is sent with status 200, AB_GRPC_TYPE and no body, so that the
     * headers end the stream. To be asked before body and effects. */
    int (*decision_is_grpc)(ab_decision *, ab_text content_type, uint32_t version);
    /* Of a refusal: status, body, and the log line with its level (the texts end with NUL). */
    int (*decision_status)(const ab_decision *);
    ab_text (*decision_body)(const ab_decision *);
    const char *(*decision_line)(const ab_decision *, uint32_t *level);
    /* What a grant or a refusal does; 0 when there is no more. */
    int (*decision_effect)(const ab_decision *, size_t index, ab_effect *);

    /* A Require line by its name (bound-scope, bound-claim, bound-proof), negated or not; NULL with
     * *message set if it is wrong (as for scope_set). */
    ab_requirement *(*requirement_new)(ab_configuration *, const char *name, const ab_text *arguments, size_t count,
                                       int negated, const char **message);
    /* Whether a grant suffices: 1, or 0 and the decision remembers what was missing; negative if
     * that cannot be told, which must not be taken for either, negated as the line may be. */
    int (*requirement_holds)(const ab_requirement *, ab_decision *);
    /* Whether a grant meets every requirement that the scope itself has (NGINX); if not, the
     * decision is a refusal from here on. */
    int (*decision_suffices)(ab_decision *);
    /* Turns a grant into the refusal of a request whose token did not suffice. */
    void (*decision_insufficient)(ab_decision *);

    /* NULL if an endpoint of ours can answer where `scope` holds, or without one anywhere; or what is
     * missing (as for scope_set). */
    const char *(*endpoint_complete)(ab_configuration *, ab_scope *);
    /* Most bytes of a body that are to be read. */
    size_t (*endpoint_max_body)(ab_configuration *, ab_scope *);
    /* Whether it matters who issued the client's certificate. */
    int (*endpoint_asks_for_chain)(ab_configuration *, ab_scope *, uint32_t endpoint);
    /* Answers a request. Never NULL but when memory or the core fails: answer 500. */
    ab_answer *(*answer_new)(ab_process *, ab_configuration *, ab_scope *, uint32_t endpoint, const ab_call *);
    void (*answer_free)(ab_answer *);
    /* Whether it has to be waited for; and that, which blocks and touches nothing of the server. */
    int (*answer_pending)(const ab_answer *);
    void (*answer_wait)(ab_answer *);
    /* Where it cannot be waited for, since too many others wait: it is a refusal from here on. */
    void (*answer_overload)(ab_answer *);
    /* Status, body with its media type, the other headers (0 when there is no more), and what is to
     * be logged, or NULL. */
    int (*answer_status)(const ab_answer *);
    ab_text (*answer_body)(const ab_answer *);
    ab_text (*answer_media_type)(const ab_answer *);
    int (*answer_header)(const ab_answer *, size_t index, ab_effect *);
    const char *(*answer_line)(const ab_answer *, uint32_t *level);
} ab_core;

#endif
