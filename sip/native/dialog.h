/*
 * What PJSUA and PJSIP decide by themselves about a call that stands, and the bridge wants to decide: what a REFER leads
 * to (RFC 3515), which call an INVITE replaces (RFC 3891), and whether a failed refresh ends a session (RFC 4028).
 */
#ifndef PUENTE_DIALOG_H
#define PUENTE_DIALOG_H

#include <pjsip.h>

PJ_BEGIN_DECL

/* Once per endpoint. */
pj_status_t puente_dialog_start(pjsip_endpoint *endpt);

/*
 * A REFER inside a dialog of a call: PJSUA does not see it. The application hears of it by on_call_tsx_state and
 * answers it later. PJ_FALSE: it is for others to say what is wrong with it.
 */
pj_bool_t puente_take_refer(pjsip_rx_data *rdata);

/* Answers the REFER that waits in that call; PJ_ENOTFOUND if there is none. */
pj_status_t puente_answer_refer(int call_id, int status);

/* The call that the INVITE now being taken in asks to replace; -1: none. */
int puente_replaced_call(void);

PJ_END_DECL

#endif
