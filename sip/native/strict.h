/*
 * Requests that are to be refused in so many words (RFC 3261 8.2, RFC 4475): PJSIP takes some, and drops others.
 */
#ifndef PUENTE_STRICT_H
#define PUENTE_STRICT_H

#include <pjsip.h>

PJ_BEGIN_DECL

typedef struct puente_fault
{
    int status; /* 0: nothing is wrong with it */
    pj_str_t reason;
    pjsip_hdr headers; /* to be sent along; a list, in the pool of the request */
} puente_fault;

/* What is wrong with a request that could be parsed. */
void puente_find_fault(pjsip_endpoint *endpt, pjsip_rx_data *rdata, puente_fault *fault);

/*
 * The answer to a request that could not be parsed, as far as it can be read: 505 when it is of another version, 416
 * when its URI is of another scheme, else 400. Returns its length; 0 when it is no request, or none that is ever answered.
 */
size_t puente_answer_malformed(const char *text, size_t len, char *out, size_t size);

PJ_END_DECL

#endif
