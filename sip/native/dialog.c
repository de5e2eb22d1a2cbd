/*
 * PJSUA accepts a REFER with 202 and dials by itself, and answers an INVITE with Replaces by itself. Here both become
 * questions to the application; and a session whose refresh has failed is the application's to save.
 *
 * REFER: taken before the dialog layer sees it, in a transaction of our own, so that the answer may wait. PJSUA's own
 * callback tells the application. NOTIFYs are plain requests inside the dialog, the application's to send.
 *
 * Replaces: PJSIP checks the header, and refuses what RFC 3891, 3 says must be refused. Then PJSUA is told that there
 * was none: it takes the call in as any other, and the application asks which call it is to replace.
 *
 * The linker leads the calls of two functions to those called __wrap_ here (--wrap in compile.py).
 */
#include "dialog.h"

#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

typedef struct waiting_refer
{
    pjsip_transaction *tsx; /* NULL: none waits */
    pjsip_rx_data *request;
} waiting_refer;

static waiting_refer waiting[PJSUA_MAX_CALLS]; /* by call id */
static pjsip_endpoint *endpoint;
static int replaced_call = -1;

static void let_go(waiting_refer *refer)
{
    pjsip_rx_data_free_cloned(refer->request);
    refer->request = NULL;
    refer->tsx = NULL;
}

static void refers_on_tsx_state(pjsip_transaction *tsx, pjsip_event *event)
{
    unsigned i;

    PJ_UNUSED_ARG(event);
    if (tsx->state < PJSIP_TSX_STATE_COMPLETED)
        return;
    for (i = 0; i < PJ_ARRAY_SIZE(waiting); ++i) { /* it ended unanswered: a transport error */
        if (waiting[i].tsx == tsx)
            let_go(&waiting[i]);
    }
}

static pjsip_module refers = {
    .name = {"puente-refers", 13},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_APPLICATION,
    .on_tsx_state = &refers_on_tsx_state,
};

static void ask_application(int call_id, pjsip_transaction *tsx, pjsip_rx_data *rdata)
{
    pjsip_event event;

    PJSIP_EVENT_INIT_TSX_STATE(event, tsx, PJSIP_EVENT_RX_MSG, rdata, PJSIP_TSX_STATE_NULL);
    if (pjsua_var.ua_cfg.cb.on_call_tsx_state)
        pjsua_var.ua_cfg.cb.on_call_tsx_state(call_id, tsx, &event);
}

/* The call of a dialog that stands and can be told something; -1: there is none. */
static int call_of(const pjsip_dialog *dialog)
{
    const pjsua_call *call = (const pjsua_call *)dialog->mod_data[pjsua_var.mod.id];

    if (!call || !call->inv || call->hanging_up || call->inv->state != PJSIP_INV_STATE_CONFIRMED)
        return -1;
    return call->index;
}

pj_bool_t puente_take_refer(pjsip_rx_data *rdata)
{
    pjsip_dialog *dialog = pjsip_ua_find_dialog(&rdata->msg_info.cid->id, &rdata->msg_info.to->tag,
                                                &rdata->msg_info.from->tag, PJ_TRUE);
    pjsip_transaction *tsx;
    int call_id;

    if (!dialog)
        return PJ_FALSE; /* 481 */
    call_id = call_of(dialog);
    if (call_id < 0 || rdata->msg_info.cseq->cseq <= dialog->remote.cseq) {
        pjsip_dlg_dec_lock(dialog);
        return PJ_FALSE;
    }
    dialog->remote.cseq = rdata->msg_info.cseq->cseq;
    if (waiting[call_id].tsx) {
        pjsip_endpt_respond_stateless(endpoint, rdata, PJSIP_SC_REQUEST_PENDING, NULL, NULL, NULL);
    } else if (pjsip_tsx_create_uas2(&refers, rdata, NULL, &tsx) == PJ_SUCCESS) {
        waiting_refer refer = {tsx, NULL};

        pjsip_tsx_recv_msg(tsx, rdata);
        if (pjsip_rx_data_clone(rdata, 0, &refer.request) == PJ_SUCCESS) {
            waiting[call_id] = refer;
            ask_application(call_id, tsx, rdata);
        } else {
            pjsip_tsx_terminate(tsx, PJSIP_SC_INTERNAL_SERVER_ERROR);
        }
    }
    pjsip_dlg_dec_lock(dialog);
    return PJ_TRUE;
}

/* A 202 to a REFER makes a subscription, so it bears a Contact (RFC 3515 2.2). */
static void add_contact(pjsip_tx_data *tdata, int call_id)
{
    const pjsip_inv_session *inv = pjsua_var.calls[call_id].inv;

    if (inv && inv->dlg)
        pjsip_msg_add_hdr(tdata->msg, pjsip_hdr_clone(tdata->pool, inv->dlg->local.contact));
}

pj_status_t puente_answer_refer(int call_id, int status)
{
    waiting_refer refer;
    pjsip_tx_data *tdata;
    pj_status_t done;

    if (call_id < 0 || call_id >= (int)PJ_ARRAY_SIZE(waiting) || !waiting[call_id].tsx)
        return PJ_ENOTFOUND;
    refer = waiting[call_id];
    waiting[call_id].tsx = NULL;
    waiting[call_id].request = NULL;
    done = pjsip_endpt_create_response(endpoint, refer.request, status, NULL, &tdata);
    if (done == PJ_SUCCESS) {
        if (status / 100 == 2)
            add_contact(tdata, call_id);
        done = pjsip_tsx_send_msg(refer.tsx, tdata);
        if (done != PJ_SUCCESS)
            pjsip_tx_data_dec_ref(tdata);
    }
    if (done != PJ_SUCCESS)
        pjsip_tsx_terminate(refer.tsx, PJSIP_SC_INTERNAL_SERVER_ERROR);
    pjsip_rx_data_free_cloned(refer.request);
    return done;
}

/* ---- Replaces --------------------------------------------------------------------------------------------------- */

pj_status_t __real_pjsip_replaces_verify_request(pjsip_rx_data *rdata, pjsip_dialog **dialog, pj_bool_t lock,
                                                 pjsip_tx_data **response);

pj_status_t __wrap_pjsip_replaces_verify_request(pjsip_rx_data *rdata, pjsip_dialog **dialog, pj_bool_t lock,
                                                 pjsip_tx_data **response)
{
    pj_status_t status = __real_pjsip_replaces_verify_request(rdata, dialog, PJ_FALSE, response);
    const pjsua_call *call;

    PJ_UNUSED_ARG(lock); /* nobody holds what is given away below */
    replaced_call = -1;
    if (status == PJ_SUCCESS && *dialog) {
        call = (const pjsua_call *)(*dialog)->mod_data[pjsua_var.mod.id];
        replaced_call = call ? (int)call->index : -1;
        *dialog = NULL;
    }
    return status;
}

int puente_replaced_call(void) { return replaced_call; }

/* ---- session timers --------------------------------------------------------------------------------------------- */

pj_status_t __wrap_pjsip_timer_handle_refresh_error(pjsip_inv_session *inv, pjsip_event *event);

/*
 * PJSIP tries again after a 503, ends the session after a 502, and lets it expire after any other refusal. RFC 4028, 10
 * ends it after 408 and 481 alone, which PJSIP does elsewhere. The rest is tried again by the application.
 */
pj_status_t __wrap_pjsip_timer_handle_refresh_error(pjsip_inv_session *inv, pjsip_event *event)
{
    PJ_UNUSED_ARG(inv);
    PJ_UNUSED_ARG(event);
    return PJ_SUCCESS;
}

/*
 * A re-INVITE without Session-Expires switches the timer off, which PJSIP does when it comes. By RFC 4028, 7.4 and 9, only
 * a 2xx agrees on anything: until then the peer counts on us to refresh.
 */
static pj_bool_t wants_no_timer[PJSUA_MAX_CALLS]; /* by call id */

pj_status_t __real_pjsip_timer_process_req(pjsip_inv_session *inv, const pjsip_rx_data *rdata, pjsip_status_code *code);
pj_status_t __wrap_pjsip_timer_process_req(pjsip_inv_session *inv, const pjsip_rx_data *rdata, pjsip_status_code *code);
pj_status_t __real_pjsip_timer_update_resp(pjsip_inv_session *inv, pjsip_tx_data *tdata);
pj_status_t __wrap_pjsip_timer_update_resp(pjsip_inv_session *inv, pjsip_tx_data *tdata);

pj_status_t __wrap_pjsip_timer_process_req(pjsip_inv_session *inv, const pjsip_rx_data *rdata, pjsip_status_code *code)
{
    static const pj_str_t NAME = {"Session-Expires", 15}, SHORT = {"x", 1};
    const int call_id = inv && inv->dlg ? call_of(inv->dlg) : -1;
    const unsigned insists = PJSIP_INV_REQUIRE_TIMER | PJSIP_INV_ALWAYS_USE_TIMER;

    if (call_id >= 0)
        wants_no_timer[call_id] = PJ_FALSE;
    if (call_id < 0 || (inv->options & insists) || rdata->msg_info.msg->line.req.method.id != PJSIP_INVITE_METHOD ||
        pjsip_msg_find_hdr_by_names(rdata->msg_info.msg, &NAME, &SHORT, NULL))
        return __real_pjsip_timer_process_req(inv, rdata, code);
    wants_no_timer[call_id] = PJ_TRUE;
    return PJ_SUCCESS;
}

pj_status_t __wrap_pjsip_timer_update_resp(pjsip_inv_session *inv, pjsip_tx_data *tdata)
{
    const int call_id = inv && inv->dlg ? call_of(inv->dlg) : -1;

    if (call_id >= 0 && wants_no_timer[call_id] && tdata->msg->line.status.code >= 200) {
        wants_no_timer[call_id] = PJ_FALSE;
        if (tdata->msg->line.status.code < 300)
            pjsip_timer_end_session(inv);
    }
    return __real_pjsip_timer_update_resp(inv, tdata);
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

pj_status_t puente_dialog_start(pjsip_endpoint *endpt)
{
    endpoint = endpt;
    pj_bzero(waiting, sizeof(waiting));
    pj_bzero(wants_no_timer, sizeof(wants_no_timer));
    return refers.id < 0 ? pjsip_endpt_register_module(endpt, &refers) : PJ_SUCCESS;
}
