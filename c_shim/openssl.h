/* What both servers ask of OpenSSL. */
#ifndef AUTH_BOUND_OPENSSL_H
#define AUTH_BOUND_OPENSSL_H

#include <openssl/ssl.h>

#include "auth_bound.h"

/* The longest body of the extension token_binding (RFC 8472, section 2). */
#define AB_MAX_OFFER 258

/* The TLS side of one connection. Zeroed memory is a connection without TLS. */
typedef struct {
    ab_client *client;
    X509 *certificate; /* our reference, so that its address cannot be used again for another */
    int read;          /* whether the client's certificate has been looked at */
    int extended;      /* whether the ClientHello has what TLS 1.2 needs beside token_binding */
    long answers;      /* how many handshakes have negotiated Token Binding */
    long exported;     /* after how many of them the core was told of it; 0: it knows of none */
    unsigned char answer[4];
    unsigned char offer[AB_MAX_OFFER];
    size_t offered;
} ab_tls;

/* What a TLS context needs to negotiate Token Binding. */
typedef struct {
    const ab_core *core;
    ab_configuration *configuration;
    ab_scope *scope;           /* of the server whose context it is */
    ab_tls *(*find)(SSL *ssl); /* NULL: the connection does not negotiate */
} ab_offering;

/* Registers the extension with a server's context; `offering` lives as long. It has to be in all
 * contexts or in none, whatever their servers' settings: OpenSSL sizes its array by the first
 * context, and reads past its end if the one that SNI selects has more. 0 if it failed. */
int ab_tls_offer(SSL_CTX *context, ab_offering *offering);

/* Brings `tls` up to date with `ssl`: renegotiation and post-handshake authentication can change
 * the certificate and the exporter between two requests. Costs comparisons when nothing has
 * changed. 0 if memory ran out: then the connection has proved nothing. */
int ab_tls_refresh(const ab_core *core, ab_tls *tls, SSL *ssl);

/* Whether the client's certificate leads to an authority that the server of this context trusts, as of
 * now: what is remembered of a session that was resumed was found when it began, and by whichever server
 * it began with. Of a resumed session only the client's own certificate is left. */
int ab_tls_chain_holds(SSL *ssl, SSL_CTX *server);

/* Frees what `tls` holds. */
void ab_tls_release(const ab_core *core, ab_tls *tls);

#endif
