/*
 * The gate: who may send us requests, what is answered before PJSUA sees it, and what was refused.
 * See gate.c for the order in which a request passes.
 */
#ifndef PUENTE_GATE_H
#define PUENTE_GATE_H

#include <pjsip.h>

PJ_BEGIN_DECL

#define PUENTE_GATE_SOURCE_LEN (PJ_INET6_ADDRSTRLEN + 10) /* [address]:port */
#define PUENTE_GATE_METHOD_LEN 24
#define PUENTE_GATE_CALL_ID_LEN 128
#define PUENTE_GATE_REASON_LEN 160

/* Requests (or garbage) from one source that got no answer. */
typedef struct puente_dropped
{
    char source[PUENTE_GATE_SOURCE_LEN];
    char method[PUENTE_GATE_METHOD_LEN];
    unsigned long count;
} puente_dropped;

/* One final refusal of an INVITE, as it went out. */
typedef struct puente_refused
{
    char source[PUENTE_GATE_SOURCE_LEN];
    char call_id[PUENTE_GATE_CALL_ID_LEN];
    char method[PUENTE_GATE_METHOD_LEN];
    int status;
    char reason[PUENTE_GATE_REASON_LEN];
} puente_refused;

/* Puts the gate into the endpoint, once per endpoint. Until puente_gate_allow() nobody may come in. */
pj_status_t puente_gate_start(pjsip_endpoint *endpt);

/*
 * Replaces the list of admitted sources: addresses and CIDR ranges, IPv4 or IPv6, one per line. Returns how many there
 * are, or -1 when a line is none of these or there are too many lines; the old list then stays.
 */
int puente_gate_allow(const char *text);

/* Take one entry out; PJ_FALSE when there is none left. */
pj_bool_t puente_gate_take_dropped(puente_dropped *out);
pj_bool_t puente_gate_take_refused(puente_refused *out);

PJ_END_DECL

#endif
