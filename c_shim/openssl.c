#include "openssl.h"

#include <openssl/err.h>
#include <string.h>

/* Leaf and chain of a certificate message are short; a longer chain is cut, which can only hide
 * from the backend what it need not trust. */
#define MAX_CERTIFICATES 16

static int present(const ab_core *core, ab_tls *tls, SSL *ssl)
{
    ab_text der[MAX_CERTIFICATES] = {{0, 0}};
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    int behind = chain ? sk_X509_num(chain) : 0;
    int count = 0, complete = 1;

    for (int i = -1; tls->certificate && i < behind && count < MAX_CERTIFICATES; i++) {
        unsigned char *out = NULL;
        /* On a server the chain does not hold the client's own certificate. */
        int size = i2d_X509(i < 0 ? tls->certificate : sk_X509_value(chain, i), &out);
        if (size <= 0) {
            complete = 0;
            break;
        }
        der[count].data = (const char *)out;
        der[count++].size = (size_t)size;
    }
    core->client_present(tls->client, der, complete ? (size_t)count : 0);
    while (count > 0)
        OPENSSL_free((void *)der[--count].data);
    return complete;
}

int ab_tls_chain_holds(SSL *ssl, SSL_CTX *server)
{
    X509_STORE *store = SSL_CTX_get_cert_store(server);
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    X509_STORE_CTX *context = X509_STORE_CTX_new();

    ERR_set_mark(); /* NGINX complains of errors that others leave behind */
    int holds = certificate && context && X509_STORE_CTX_init(context, store, certificate, SSL_get_peer_cert_chain(ssl)) &&
                X509_STORE_CTX_set_default(context, "ssl_client") &&
                X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(context), SSL_CTX_get0_param(server)) &&
                X509_verify_cert(context) == 1;

    ERR_pop_to_mark();
    X509_STORE_CTX_free(context);
    X509_free(certificate);
    return holds;
}

/* --- Token Binding (RFC 8472) --- */

#define TOKEN_BINDING 24

/* Runs again for a second ClientHello (HelloRetryRequest, renegotiation). Which server the client
 * means is not known yet, so nothing is decided here. */
static int take_offer(SSL *ssl, unsigned int type, unsigned int context, const unsigned char *body, size_t size,
                      X509 *certificate, size_t chain, int *alert, void *data)
{
    ab_offering *offering = data;
    ab_tls *tls = offering->find(ssl);
    ab_text offer = {(const char *)body, size};
    const unsigned char *unused;
    size_t length;

    *alert = SSL_AD_DECODE_ERROR;
    if (offering->core->token_binding_answer(NULL, NULL, offer, NULL) < 0 || size > AB_MAX_OFFER)
        return 0;
    if (!tls)
        return 1;
    memcpy(tls->offer, body, size);
    tls->offered = size;
    /* SSL_get_extms_support cannot tell before the handshake is over. */
    tls->extended = !(SSL_get_options(ssl) & SSL_OP_NO_EXTENDED_MASTER_SECRET) &&
                    SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_extended_master_secret, &unused, &length);
    return 1;
}

/* The server is selected, and `data` is of its context. */
static int give_answer(SSL *ssl, unsigned int type, unsigned int context, const unsigned char **body, size_t *size,
                       X509 *certificate, size_t chain, int *alert, void *data)
{
    ab_offering *offering = data;
    ab_tls *tls = offering->find(ssl);

    if (!tls || !tls->offered)
        return 0;
    ab_text offer = {(const char *)tls->offer, tls->offered};
    /* RFC 8472, section 3: "MUST NOT negotiate" without these two. */
    if (SSL_version(ssl) < TLS1_3_VERSION && (!tls->extended || !SSL_get_secure_renegotiation_support(ssl)))
        return 0;
    /* A renegotiation can go on with Token Binding, but not begin with it. */
    if (tls->answers != SSL_num_renegotiations(ssl))
        return 0;
    /* draft-ietf-tokbind-tls13-03, section 3: not together on one connection. */
    if (SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_ACCEPTED)
        return 0;
    if (offering->core->token_binding_answer(offering->configuration, offering->scope, offer, tls->answer) <= 0)
        return 0;
    tls->offered = 0; /* the next handshake has to offer again */
    tls->answers++;
    *body = tls->answer;
    *size = sizeof(tls->answer);
    return 1;
}

int ab_tls_offer(SSL_CTX *context, ab_offering *offering)
{
    return SSL_CTX_add_custom_ext(
        context, TOKEN_BINDING, SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_2_SERVER_HELLO | SSL_EXT_TLS1_3_ENCRYPTED_EXTENSIONS,
        give_answer, NULL, offering, take_offer, offering);
}

/* Tells the core what the last handshake negotiated. Each handshake must have negotiated anew:
 * a renegotiation without the extension ends Token Binding on the connection. */
static void export_keying_material(const ab_core *core, ab_tls *tls, SSL *ssl)
{
    static const char label[] = "EXPORTER-Token-Binding";
    unsigned char ekm[32];
    ab_text none = {NULL, 0}, answer = {(const char *)tls->answer, sizeof(tls->answer)}, exported = {(char *)ekm, sizeof(ekm)};
    int holds = SSL_is_init_finished(ssl) && tls->answers == SSL_num_renegotiations(ssl) + 1 &&
                (SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1);

    if (holds ? tls->exported == tls->answers : !tls->exported)
        return;
    /* RFC 8471, section 3.3: without a context, which in TLS 1.2 is not the same as an empty one. */
    if (holds && SSL_export_keying_material(ssl, ekm, sizeof(ekm), label, sizeof(label) - 1, NULL, 0, 0) == 1) {
        core->client_negotiated(tls->client, answer, exported);
        tls->exported = tls->answers;
    } else {
        core->client_negotiated(tls->client, none, none);
        tls->exported = 0;
    }
    OPENSSL_cleanse(ekm, sizeof(ekm));
}

/* --- the client --- */

int ab_tls_refresh(const ab_core *core, ab_tls *tls, SSL *ssl)
{
    /* In the middle of a handshake (post-handshake authentication that failed, say) the client has
     * sent a certificate but not yet proved that it holds the key. */
    X509 *certificate = SSL_is_init_finished(ssl) ? SSL_get0_peer_certificate(ssl) : NULL;

    if (!tls->client && !(tls->client = core->client_new()))
        return 0;
    if (tls->answers)
        export_keying_material(core, tls, ssl);
    if (tls->read && tls->certificate == certificate)
        return 1;
    X509_free(tls->certificate);
    tls->certificate = certificate;
    if (certificate)
        X509_up_ref(certificate);
    tls->read = present(core, tls, ssl);
    return tls->read;
}

void ab_tls_release(const ab_core *core, ab_tls *tls)
{
    core->client_free(tls->client);
    X509_free(tls->certificate);
    tls->client = NULL;
    tls->certificate = NULL;
    tls->read = 0;
}
