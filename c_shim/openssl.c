#include "openssl.h"

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

int ab_tls_refresh(const ab_core *core, ab_tls *tls, SSL *ssl)
{
    /* In the middle of a handshake (post-handshake authentication that failed, say) the client has
     * sent a certificate but not yet proved that it holds the key. */
    X509 *certificate = SSL_is_init_finished(ssl) ? SSL_get0_peer_certificate(ssl) : NULL;

    if (tls->read && tls->certificate == certificate)
        return 1;
    if (!tls->client && !(tls->client = core->client_new()))
        return 0;
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
