/* What both servers ask of OpenSSL. */
#ifndef AUTH_BOUND_OPENSSL_H
#define AUTH_BOUND_OPENSSL_H

#include <openssl/ssl.h>

#include "auth_bound.h"

/* The TLS side of one connection. Zeroed memory is a connection without TLS. */
typedef struct {
    ab_client *client;
    X509 *certificate; /* our reference, so that its address cannot be used again for another */
    int read;          /* whether the client's certificate has been looked at */
} ab_tls;

/* Brings `tls` up to date with `ssl`: renegotiation and post-handshake authentication can change
 * the certificate between two requests. Costs a comparison when nothing has changed. 0 if memory
 * ran out: then the connection has proved nothing. */
int ab_tls_refresh(const ab_core *core, ab_tls *tls, SSL *ssl);

/* Frees what `tls` holds. */
void ab_tls_release(const ab_core *core, ab_tls *tls);

#endif
