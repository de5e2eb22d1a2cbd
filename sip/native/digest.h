/*
 * Who comes from an address that nobody has named, and proves by a password that it is a trunk (RFC 3261 22, RFC 8760).
 */
#ifndef PUENTE_DIGEST_H
#define PUENTE_DIGEST_H

#include "ledger.h"

#include <pjsip.h>

PJ_BEGIN_DECL

typedef enum puente_proof
{
    PUENTE_STRANGER,  /* names no user of ours: no answer */
    PUENTE_UNPROVEN,  /* names one: to be challenged */
    PUENTE_STALE,     /* knows the password, but the nonce is old or used: to be challenged anew */
    PUENTE_DISPROVEN, /* does not know the password */
    PUENTE_PROVEN
} puente_proof;

/* What an INVITE says of who sent it. `trunk` is whom it claims to be, unless it is a stranger. */
puente_proof puente_prove(pjsip_rx_data *rdata, puente_trunk *trunk);
/* Whether its From, or its Authorization, names a user of ours. */
pj_bool_t puente_claims(const pjsip_rx_data *rdata, puente_trunk *trunk);
/* A WWW-Authenticate header for a 401 to it, in the pool of the request. */
pjsip_hdr *puente_challenge(pjsip_rx_data *rdata, const puente_trunk *trunk, pj_bool_t stale);

PJ_END_DECL

#endif
