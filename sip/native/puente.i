/*
 * PJSUA2, and what it lacks for a program that carries the audio itself and waits on descriptors of its own.
 * Everything of ours is a plain function whose name begins with `puente`.
 */
%module(directors="1") pjsua2
%include "pjsua2.i"
%{
#include <pjsua-lib/pjsua_internal.h>
#include "gate.h"
#include "ledger.h"
#include "dialog.h"
#include "courier.h"
#include "certificate.h"
%}
%inline %{
/* The negotiated SDP of a call as text; which: 0 local, 1 remote. Empty if there is none. */
std::string puenteCallSdp(int call_id, int which)
{
    char text[PJSIP_MAX_PKT_LEN];
    int len = -1;
    const pjmedia_sdp_session *sdp = NULL;
    if (call_id < 0 || call_id >= (int)pjsua_var.ua_cfg.max_calls) return "";
    PJSUA_LOCK();
    const pjsip_inv_session *inv = pjsua_var.calls[call_id].inv;
    if (inv && inv->neg) {
        pj_status_t status = which ? pjmedia_sdp_neg_get_active_remote(inv->neg, &sdp)
                                   : pjmedia_sdp_neg_get_active_local(inv->neg, &sdp);
        if (status == PJ_SUCCESS && sdp) len = pjmedia_sdp_print(sdp, text, sizeof(text));
    }
    PJSUA_UNLOCK();
    return len > 0 ? std::string(text, len) : std::string();
}

/* A re-INVITE of theirs has come to nothing: what it offered is forgotten, which PJSIP does not do when it is cancelled
 * (and answers every offer that follows with 491). Nothing, if no offer of theirs is open. */
void puenteForgetOffer(int call_id)
{
    if (call_id < 0 || call_id >= (int)pjsua_var.ua_cfg.max_calls) return;
    PJSUA_LOCK();
    const pjsip_inv_session *inv = pjsua_var.calls[call_id].inv;
    if (inv && inv->neg && inv->state == PJSIP_INV_STATE_CONFIRMED &&
        pjmedia_sdp_neg_get_state(inv->neg) == PJMEDIA_SDP_NEG_STATE_REMOTE_OFFER)
        pjmedia_sdp_neg_cancel_offer(inv->neg);
    PJSUA_UNLOCK();
}

/* Milliseconds until PJSIP's next timer, -1 if there is none. */
int puenteNextTimerMs()
{
    if (!pjsua_var.endpt) return -1;
    pj_timer_heap_t *heap = pjsip_endpt_get_timer_heap(pjsua_var.endpt);
    pj_time_val due, now;
    if (!heap || pj_timer_heap_count(heap) == 0) return -1;
    if (pj_timer_heap_earliest_time(heap, &due) != PJ_SUCCESS) return -1;
    pj_gettickcount(&now);
    PJ_TIME_VAL_SUB(due, now);
    long ms = PJ_TIME_VAL_MSEC(due);
    return ms < 0 ? 0 : (int)ms;
}

/* The epoll descriptor behind all SIP sockets: readable when libHandleEvents(0) has work. -1 before libInit. */
int puenteEpollFd()
{
    if (!pjsua_var.endpt) return -1;
    pj_oshandle_t handle = pj_ioqueue_get_os_handle(pjsip_endpt_get_ioqueue(pjsua_var.endpt));
    return handle ? *(int *)handle : -1;
}

/* T1 and Timers B, F, H (RFC 3261 17): how long a silent peer is waited for, an answered INVITE remembered. */
void puenteSetTimers(int t1_ms, int timeout_ms)
{
    pjsip_cfg()->tsx.t1 = t1_ms;
    pjsip_cfg()->tsx.td = timeout_ms;
    pjsip_tsx_initialize_timer_values();
}

/* Calls that stand or ring. */
int puenteCallCount() { return (int)pjsua_call_get_count(); }

/* Puts the gate (gate.c) in front of the stack; after libInit. 0, or PJSIP's status. */
int puenteGateStart() { return puente_gate_start(pjsua_var.endpt); }

/* Who may send requests: addresses and CIDR ranges, one per line. How many there are; -1: nonsense, nothing changed. */
int puenteGateAllow(std::string text) { return puente_admit(text.c_str()); }

/* Requests that were dropped since the last call: lines `address:port METHOD count`. */
std::string puenteGateTakeDropped()
{
    std::string lines;
    puente_dropped entry;
    while (puente_take_dropped(&entry))
        lines += std::string(entry.source) + ' ' + entry.method + ' ' + std::to_string(entry.count) + '\n';
    return lines;
}

/* INVITEs that were refused since the last call: lines of `address:port Call-ID method status reason`, tabs between. */
std::string puenteGateTakeRefused()
{
    std::string lines;
    puente_refused entry;
    while (puente_take_refused(&entry))
        lines += std::string(entry.source) + '\t' + entry.call_id + '\t' + entry.method + '\t' +
                 std::to_string(entry.status) + '\t' + entry.reason + '\n';
    return lines;
}

/* Calls that were above their trunk's rate since the last call: lines `account count`. */
std::string puenteGateTakeExcess()
{
    std::string lines;
    int account;
    unsigned long count;
    while (puente_take_excess(&account, &count))
        lines += std::to_string(account) + ' ' + std::to_string(count) + '\n';
    return lines;
}

/* Answers the REFER that waits in a call. 0, or PJSIP's status. */
int puenteAnswerRefer(int call_id, int status) { return puente_answer_refer(call_id, status); }

/* To be asked when a call comes in: which call it is to take the place of (RFC 3891). -1: of none. */
int puenteReplacedCall() { return puente_replaced_call(); }

/* The call that is in the dialog of these identifiers (RFC 3261 12), -1 if there is none. */
int puenteFindCall(std::string sip_call_id, std::string local_tag, std::string remote_tag)
{
    pj_str_t id = pj_str((char *)sip_call_id.c_str()), local = pj_str((char *)local_tag.c_str()),
             remote = pj_str((char *)remote_tag.c_str());
    pjsip_dialog *dialog = pjsip_ua_find_dialog(&id, &local, &remote, PJ_FALSE);
    const pjsua_call *call = dialog ? (const pjsua_call *)dialog->mod_data[pjsua_var.mod.id] : NULL;
    return call ? call->index : -1;
}

/* The Replaces header by which somebody else can take the place of a call at its peer (RFC 3891); "" if it is gone. */
std::string puenteReplacesOf(int call_id)
{
    if (call_id < 0 || call_id >= (int)pjsua_var.ua_cfg.max_calls) return "";
    const pjsip_inv_session *inv = pjsua_var.calls[call_id].inv;
    if (!inv || !inv->dlg) return "";
    const pj_str_t *id = &inv->dlg->call_id->id, *theirs = &inv->dlg->remote.info->tag,
                   *ours = &inv->dlg->local.info->tag;
    return std::string(id->ptr, id->slen) + ";to-tag=" + std::string(theirs->ptr, theirs->slen) +
           ";from-tag=" + std::string(ours->ptr, ours->slen);
}

/* The trunks behind the admitted addresses: one per line, fields with tabs between (ledger.h). How many; -1: nonsense. */
int puenteGateTrunks(std::string text) { return puente_set_trunks(text.c_str()); }

/* While an INVITE is taken in: the account whose trunk it is of; negative: nobody's in particular. */
int puenteGateMatched() { return puente_gate_matched(NULL); }

/* How that was found out: address, account or digest. */
std::string puenteGateMatchedBy()
{
    const char *by;
    puente_gate_matched(&by);
    return by;
}

/* Calls that stand or ring on one account. */
int puenteCallsOf(int account)
{
    int count = 0;
    PJSUA_LOCK();
    for (unsigned i = 0; i < pjsua_var.ua_cfg.max_calls; ++i)
        count += pjsua_var.calls[i].inv && pjsua_var.calls[i].acc_id == account;
    PJSUA_UNLOCK();
    return count;
}

/* Sends a request of ours (text, without Via) to one address; there will be a reply of that number. 0: it is on its way. */
int puenteSend(int number, std::string request, std::string hop, std::string username, std::string password,
               std::string realm, int timeout_ms)
{
    puente_letter letter = {number, request.c_str(), hop.c_str(), username.c_str(), password.c_str(), realm.c_str(),
                            timeout_ms};
    return puente_send_letter(&letter);
}

/* The oldest reply: `number status took_us answered`, reason, then the message behind a newline each. Empty: none. */
std::string puenteTakeReply()
{
    puente_reply *reply = puente_take_reply();
    if (!reply) return "";
    std::string text = std::to_string(reply->number) + ' ' + std::to_string(reply->status) + ' ' +
                       std::to_string(reply->took_us) + ' ' + std::to_string(reply->answered) + '\n' + reply->reason +
                       '\n' + std::string(reply->message ? reply->message : "", reply->len);
    puente_free_reply(reply);
    return text;
}

/* Connections of ours that have ended or failed: lines `address:port transport certificate reason`, tabs between. */
std::string puenteTakeLosses()
{
    std::string lines;
    puente_loss loss;
    while (puente_take_loss(&loss))
        lines += std::string(loss.source) + '\t' + loss.transport + '\t' + std::to_string(loss.certificate) + '\t' +
                 loss.reason + '\n';
    return lines;
}

/* Keeps the connection to that hop open for an account; an empty hop lets go of it. */
int puenteHold(int account, std::string hop) { return puente_hold(account, hop.c_str()); }

/* A newline to that hop, to keep a NAT open. 0, or PJSIP's status. */
int puenteKeepAlive(std::string hop) { return puente_keep_alive(hop.c_str()); }

/* What is wrong with a certificate's files, in words that follow its name. Empty: nothing. */
std::string puenteCertificateProblem(std::string certificate, std::string key)
{
    char text[200];
    puente_examine_certificate(certificate.c_str(), key.c_str(), text, sizeof(text));
    return text;
}
%}
