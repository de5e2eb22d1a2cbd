/*
 * The gate: who may send us requests, what is answered before PJSUA sees it, and what was refused.
 * See gate.c for the order in which a request passes; ledger.h for its tables.
 */
#ifndef PUENTE_GATE_H
#define PUENTE_GATE_H

#include <pjsip.h>

PJ_BEGIN_DECL

/* Puts the gate into the endpoint, once per endpoint. From then on nobody may come in who was not admitted. */
pj_status_t puente_gate_start(pjsip_endpoint *endpt);

/*
 * While an INVITE is being taken in: the account whose trunk it is of, or one of ledger.h's negative words; `by` becomes
 * how that was found out: address, account (the user of its request URI) or digest.
 */
int puente_gate_matched(const char **by);

PJ_END_DECL

#endif
