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
%}
