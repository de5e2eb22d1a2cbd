/*
 * The gate: three small PJSIP modules around the stack.
 *
 *     request from the wire
 *        |
 *     admission (before the message log)   unknown source -> dropped without an answer, counted; who claims to be a
 *        |                                 digest user -> 401, 403; what is no good request -> strict.c; a trunk's
 *        |                                 calls above its limit -> 503
 *     PJSIP transactions
 *        |
 *     manners (before the dialogs)         no method of ours -> 405, 501; OPTIONS inside a dialog -> 200; INFO -> see there;
 *        |                                 REFER -> dialog.c
 *        |
 *     PJSIP dialogs, PJSUA
 *        |
 *     leftovers (after everybody)          what nobody wanted -> 481
 *
 * On the way out `admission` also writes down every final refusal of an INVITE, because PJSUA refuses some (bad SDP,
 * bad extension) without asking the application.
 */
#include "gate.h"
#include "ledger.h"
#include "dialog.h"
#include "digest.h"
#include "hop.h"
#include "strict.h"
#include "courier.h"

#include <pjlib.h>
#include <pjsip_ua.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static pjsip_endpoint *endpoint;

/* ---- admission ------------------------------------------------------------------------------------------------- */

static pjsip_dialog *dialog_of(const pjsip_rx_data *rdata, pj_bool_t locked)
{
    if (rdata->msg_info.to->tag.slen == 0)
        return NULL;
    return pjsip_ua_find_dialog(&rdata->msg_info.cid->id, &rdata->msg_info.to->tag, &rdata->msg_info.from->tag, locked);
}

static int matched_account = PUENTE_NOBODY;
static const char *matched_by = "";

int puente_gate_matched(const char **by)
{
    if (by)
        *by = matched_by;
    return matched_account;
}

/* A request again, or one that is about another that we have (CANCEL, and the ACK of a refusal). */
static pj_bool_t has_transaction(pjsip_rx_data *rdata)
{
    const pjsip_method *method = &rdata->msg_info.msg->line.req.method;
    pjsip_transaction *tsx;
    pj_str_t key;

    if (method->id != PJSIP_INVITE_METHOD && method->id != PJSIP_CANCEL_METHOD && method->id != PJSIP_ACK_METHOD)
        return PJ_FALSE;
    if (pjsip_tsx_create_key(rdata->tp_info.pool, &key, PJSIP_ROLE_UAS, pjsip_get_invite_method(), rdata) != PJ_SUCCESS)
        return PJ_FALSE;
    tsx = pjsip_tsx_layer_find_tsx(&key, PJ_FALSE);
    return tsx != NULL;
}

static pj_bool_t is_noting = PJ_TRUE;

/* Answers, without writing it down as a refusal of its own: what is counted is told once a second. */
static void turn_away(pjsip_rx_data *rdata, int status, const pjsip_hdr *headers, const char *why)
{
    const pj_str_t *method = &rdata->msg_info.msg->line.req.method.name;
    char counted[PUENTE_METHOD_LEN];

    snprintf(counted, sizeof(counted), "%.*s!%s", (int)method->slen, method->ptr, why);
    puente_count_dropped(rdata->pkt_info.src_name, rdata->pkt_info.src_port, counted, strlen(counted));
    is_noting = PJ_FALSE;
    pjsip_endpt_respond_stateless(endpoint, rdata, status, NULL, headers, NULL);
    is_noting = PJ_TRUE;
}

static void drop(pjsip_rx_data *rdata)
{
    const pj_str_t *method = &rdata->msg_info.msg->line.req.method.name;
    pjsip_transport *tp = rdata->tp_info.transport;

    puente_count_dropped(rdata->pkt_info.src_name, rdata->pkt_info.src_port, method->ptr, (size_t)method->slen);
    /* Silence on a connection would keep it open for nothing; closed once this packet has been dealt with. */
    if ((tp->flag & PJSIP_TRANSPORT_DATAGRAM) == 0 && tp->dir == PJSIP_TP_DIR_INCOMING)
        pjsip_transport_shutdown(tp);
}

static long now_ms(void)
{
    pj_time_val now;

    pj_gettickcount(&now);
    return PJ_TIME_VAL_MSEC(now);
}

/* An INVITE from nowhere: whose it is by its password. PJ_TRUE: it has been answered, or is to have no answer. */
static pj_bool_t admit_by_digest(pjsip_rx_data *rdata, const pj_sockaddr *from)
{
    puente_trunk trunk;
    pjsip_hdr headers;
    puente_proof proof = puente_prove(rdata, &trunk);

    if (proof == PUENTE_PROVEN) {
        matched_account = trunk.account;
        matched_by = "digest";
        return PJ_FALSE;
    }
    if (proof == PUENTE_STRANGER || !puente_take_answer(pj_sockaddr_get_addr(from), pj_sockaddr_get_addr_len(from),
                                                        proof != PUENTE_UNPROVEN, now_ms())) {
        drop(rdata);
    } else if (proof == PUENTE_DISPROVEN) {
        turn_away(rdata, 403, NULL, "password");
    } else {
        pj_list_init(&headers);
        pj_list_push_back(&headers, puente_challenge(rdata, &trunk, proof == PUENTE_STALE));
        turn_away(rdata, 401, &headers, "challenge");
    }
    return PJ_TRUE;
}

/* Whether a trunk's new call is too many in this second. */
static pj_bool_t is_above_limit(pjsip_rx_data *rdata)
{
    pjsip_hdr headers;

    if (matched_account < 0 || puente_take_call(matched_account, now_ms()))
        return PJ_FALSE;
    pj_list_init(&headers);
    pj_list_push_back(&headers, (pjsip_hdr *)pjsip_retry_after_hdr_create(rdata->tp_info.pool, 1));
    turn_away(rdata, 503, &headers, "limit");
    return PJ_TRUE;
}

static pj_str_t user_of(const pjsip_uri *uri)
{
    const pjsip_uri *inner = (const pjsip_uri *)pjsip_uri_get_uri(uri);
    const pj_str_t none = {NULL, 0};

    return PJSIP_URI_SCHEME_IS_SIP(inner) || PJSIP_URI_SCHEME_IS_SIPS(inner) ? ((const pjsip_sip_uri *)inner)->user
                                                                             : none;
}

static pj_bool_t has_fault(pjsip_rx_data *rdata)
{
    puente_fault fault;

    puente_find_fault(endpoint, rdata, &fault);
    if (fault.status)
        pjsip_endpt_respond_stateless(endpoint, rdata, fault.status, &fault.reason, &fault.headers, NULL);
    return fault.status != 0;
}

static pj_bool_t admission_on_rx_request(pjsip_rx_data *rdata)
{
    const pjsip_msg *msg = rdata->msg_info.msg;
    const pj_sockaddr *from = &rdata->pkt_info.src_addr;
    const pj_bool_t is_call = msg->line.req.method.id == PJSIP_INVITE_METHOD && rdata->msg_info.to->tag.slen == 0;
    const pj_str_t user = user_of(msg->line.req.uri);
    puente_trunk claimed;
    bool by_user;

    matched_account = puente_trunk_at(pj_sockaddr_get_addr(from), pj_sockaddr_get_addr_len(from), user.ptr,
                                      (size_t)user.slen, &by_user);
    matched_by = by_user ? "account" : "address";
    if (matched_account != PUENTE_NOBODY)
        return has_fault(rdata) || (is_call && !has_transaction(rdata) && is_above_limit(rdata));
    /*
     * A dialog is bound to its identifiers, not to an address (RFC 3261 12): without Record-Route the BYE comes
     * straight from the far phone. Who knows Call-ID and both tags belongs to the call. The same for who knows the
     * branch of an INVITE: so the calls of a trunk that is gone go on to their end.
     */
    if (dialog_of(rdata, PJ_FALSE) || has_transaction(rdata))
        return PJ_FALSE;
    if (is_call)
        return admit_by_digest(rdata, from) || has_fault(rdata) || is_above_limit(rdata);
    if (msg->line.req.method.id != PJSIP_ACK_METHOD || !puente_claims(rdata, &claimed)) /* the ACK of our 401 */
        drop(rdata);
    return PJ_TRUE;
}

static pjsip_module admission;

static void copy_str(char *to, size_t size, const pj_str_t *from)
{
    puente_copy_field(to, size, from->ptr, (size_t)from->slen, '?');
}

static pj_status_t admission_on_tx_response(pjsip_tx_data *tdata)
{
    static const pj_str_t WARNING = {"Warning", 7};
    const pjsip_msg *msg = tdata->msg;
    const pjsip_cseq_hdr *cseq = PJSIP_MSG_CSEQ_HDR(msg);
    const pjsip_cid_hdr *call_id = PJSIP_MSG_CID_HDR(msg);
    const pjsip_warning_hdr *warning;
    char reason[PUENTE_REASON_LEN];
    puente_refused entry;

    if (!is_noting || msg->line.status.code < 400 || !cseq || !call_id || cseq->method.id != PJSIP_INVITE_METHOD)
        return PJ_SUCCESS;
    if (tdata->mod_data[admission.id]) /* a retransmission sends the same tdata again */
        return PJ_SUCCESS;
    tdata->mod_data[admission.id] = &admission;

    warning = (const pjsip_warning_hdr *)pjsip_msg_find_hdr_by_name(msg, &WARNING, NULL);
    if (warning)
        snprintf(reason, sizeof(reason), "%.*s (%.*s)", (int)msg->line.status.reason.slen, msg->line.status.reason.ptr,
                 (int)warning->hvalue.slen, warning->hvalue.ptr);
    else
        snprintf(reason, sizeof(reason), "%.*s", (int)msg->line.status.reason.slen, msg->line.status.reason.ptr);
    puente_name_source(entry.source, tdata->tp_info.dst_name, tdata->tp_info.dst_port);
    copy_str(entry.call_id, sizeof(entry.call_id), &call_id->id);
    copy_str(entry.method, sizeof(entry.method), &cseq->method.name);
    puente_copy_field(entry.reason, sizeof(entry.reason), reason, strlen(reason), ' ');
    entry.status = msg->line.status.code;
    puente_note_refused(&entry);
    return PJ_SUCCESS;
}

static pjsip_module admission = {
    .name = {"puente-admission", 16},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_TRANSPORT_LAYER - 2, /* one before PJSUA's message log: scanners do not fill it */
    .on_rx_request = &admission_on_rx_request,
    .on_tx_response = &admission_on_tx_response,
};

/*
 * What the parser could not read never becomes a request; the transport manager tells of it here. It does not say who
 * sent it, but the bytes lie in the packet buffer of an rdata that does know: `data` is that buffer's start, or follows
 * the leading newlines that were told in the call just before (PJ_EIGNORED; a bare keep-alive looks the same). Four
 * bytes or less are a keep-alive whatever they are: CR LF CR LF by the book (RFC 5626 3.5.1), zeros with some phones.
 */
#define KEEP_ALIVE_LEN 4

#define MALFORMED_PER_S 100

/* To partners only; strangers get no answer. Back to where it came from: its Via may be what is broken. */
static void answer_malformed(pjsip_tp_dropped_data *drop, const pj_sockaddr *from)
{
    static long second;
    static int answered;
    pjsip_tpselector selector;
    char answer[PJSIP_MAX_PKT_LEN];
    size_t len;

    if (!puente_is_admitted(pj_sockaddr_get_addr(from), pj_sockaddr_get_addr_len(from)))
        return;
    if (now_ms() / 1000 != second) {
        second = now_ms() / 1000;
        answered = 0;
    }
    if (++answered > MALFORMED_PER_S)
        return;
    len = puente_answer_malformed((const char *)drop->data, (size_t)drop->len, answer, sizeof(answer));
    if (len == 0)
        return;
    pj_bzero(&selector, sizeof(selector));
    selector.type = PJSIP_TPSELECTOR_TRANSPORT;
    selector.u.transport = drop->tp;
    pjsip_tpmgr_send_raw(pjsip_endpt_get_tpmgr(endpoint), (pjsip_transport_type_e)drop->tp->key.type, &selector, NULL,
                         answer, len, from, pj_sockaddr_get_len(from), NULL, NULL);
}

static void on_rx_dropped(pjsip_tp_dropped_data *drop)
{
    static __thread char *newlines, *newlines_end;
    char *data = (char *)drop->data, *start = data;
    const pjsip_rx_data *rdata;

    if (drop->status == PJ_EIGNORED) {
        newlines = data;
        newlines_end = data + drop->len;
        return;
    }
    if (!data) /* a silent TCP connection was closed: there is no packet */
        return;
    if ((drop->tp->flag & PJSIP_TRANSPORT_DATAGRAM) == 0) { /* several messages may share one buffer */
        const pj_sockaddr *peer = &drop->tp->key.rem_addr;
        char address[PJ_INET6_ADDRSTRLEN] = "";
        pj_sockaddr_print(peer, address, sizeof(address), 0);
        puente_count_dropped(address, pj_sockaddr_get_port(peer), "garbage", 7);
        answer_malformed(drop, peer);
        return;
    }
    if (drop->len <= KEEP_ALIVE_LEN)
        return;
    if (newlines && newlines_end == data)
        start = newlines;
    rdata = (const pjsip_rx_data *)(start - offsetof(pjsip_rx_data, pkt_info.packet));
    puente_count_dropped(rdata->pkt_info.src_name, rdata->pkt_info.src_port, "garbage", 7);
    answer_malformed(drop, &rdata->pkt_info.src_addr);
}

/* ---- manners --------------------------------------------------------------------------------------------------- */

/* Answers without a transaction: a retransmitted request simply gets the same answer again (RFC 3261 8.2.7). */
static void respond(pjsip_rx_data *rdata, int status, const pjsip_hdr *headers)
{
    pjsip_endpt_respond_stateless(endpoint, rdata, status, NULL, headers, NULL);
}

/* `headers` becomes a list of what this endpoint can do; `kinds` ends with PJSIP_H_OTHER. */
static void list_capabilities(pjsip_rx_data *rdata, pjsip_hdr *headers, const int *kinds)
{
    pj_list_init(headers);
    for (; *kinds != PJSIP_H_OTHER; ++kinds) {
        const pjsip_hdr *header = pjsip_endpt_get_capability(endpoint, *kinds, NULL);
        if (header)
            pj_list_push_back(headers, pjsip_hdr_clone(rdata->tp_info.pool, header));
    }
}

/* A request inside a dialog that PJSUA shall not see. PJ_FALSE: the dialog layer has to say what is wrong with it. */
static pj_bool_t answer_in_dialog(pjsip_rx_data *rdata, int status, const pjsip_hdr *headers)
{
    pjsip_dialog *dialog = dialog_of(rdata, PJ_TRUE);
    pj_bool_t in_order;

    if (!dialog)
        return PJ_FALSE; /* 481 */
    in_order = rdata->msg_info.cseq->cseq >= dialog->remote.cseq; /* equal: a retransmission */
    if (in_order)
        dialog->remote.cseq = rdata->msg_info.cseq->cseq;
    pjsip_dlg_dec_lock(dialog);
    if (!in_order)
        return PJ_FALSE; /* 500 (RFC 3261 12.2.2) */
    respond(rdata, status, headers);
    return PJ_TRUE;
}

/* PJSUA answers an OPTIONS inside a dialog with 500, which some trunks take for a dead call. */
static pj_bool_t answer_options(pjsip_rx_data *rdata)
{
    static const int CAPABILITIES[] = {PJSIP_H_ALLOW, PJSIP_H_ACCEPT, PJSIP_H_SUPPORTED, PJSIP_H_OTHER};
    pjsip_hdr headers;

    list_capabilities(rdata, &headers, CAPABILITIES);
    return answer_in_dialog(rdata, 200, &headers);
}

static const pj_str_t APPLICATION = {"application", 11}, DTMF = {"dtmf", 4}, DTMF_RELAY = {"dtmf-relay", 10};

static pj_bool_t is_application(const pjsip_msg_body *body, const pj_str_t *subtype)
{
    return pj_stricmp(&body->content_type.type, &APPLICATION) == 0 &&
           pj_stricmp(&body->content_type.subtype, subtype) == 0;
}

static pj_bool_t is_digit(const char *at, const char *end)
{
    return at != end && *at && strchr("0123456789*#ABCDabcd", *at);
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at != end && pj_isspace(*at))
        ++at;
    return at;
}

/* Where the digit of application/dtmf-relay stands: behind `Signal=`, however that is written. `end`: there is none. */
static const char *signal_of(const char *at, const char *end)
{
    static const char KEY[] = "signal";
    const pj_ssize_t key_len = sizeof(KEY) - 1;

    for (; end - at > key_len; ++at) {
        const char *sign;

        if (pj_ansi_strnicmp(at, KEY, key_len) != 0)
            continue;
        sign = skip_blanks(at + key_len, end);
        if (sign != end && *sign == '=')
            return skip_blanks(sign + 1, end);
    }
    return end;
}

/*
 * application/dtmf holds a bare digit, which PJSUA tells the application about and then answers with 500; in dtmf-relay
 * it knows but one way to write the lines. Written anew both get their 200. The application reads the message as it
 * came: of what is written here only the form counts.
 */
static pj_bool_t relay_digit(pjsip_rx_data *rdata, pjsip_msg_body *body)
{
    static const char TEXT[] = "Signal=%c\r\nDuration=160\r\n";
    const char *data = (const char *)body->data, *end = data + body->len;
    const char *digit = is_application(body, &DTMF) ? skip_blanks(data, end) : signal_of(data, end);
    char *text;

    if (!is_digit(digit, end))
        return answer_in_dialog(rdata, 400, NULL);
    text = (char *)pj_pool_alloc(rdata->tp_info.pool, sizeof(TEXT));
    body->len = (unsigned)snprintf(text, sizeof(TEXT), TEXT, *digit);
    body->data = text;
    body->content_type.subtype = DTMF_RELAY;
    return PJ_FALSE;
}

/* To every INFO but dtmf-relay PJSUA says 500. */
static pj_bool_t answer_info(pjsip_rx_data *rdata)
{
    pjsip_msg_body *body = rdata->msg_info.msg->body;
    pjsip_accept_hdr *accept;
    pjsip_hdr headers;

    if (!body || body->len == 0)
        return answer_in_dialog(rdata, 200, NULL); /* a sign of life (RFC 2976 2.2) */
    if (is_application(body, &DTMF_RELAY) || is_application(body, &DTMF))
        return relay_digit(rdata, body);
    accept = pjsip_accept_hdr_create(rdata->tp_info.pool);
    pj_strdup2(rdata->tp_info.pool, &accept->values[accept->count++], "application/dtmf-relay");
    pj_strdup2(rdata->tp_info.pool, &accept->values[accept->count++], "application/dtmf");
    pj_list_init(&headers);
    pj_list_push_back(&headers, accept);
    return answer_in_dialog(rdata, 415, &headers); /* RFC 3261 21.4.13 */
}

/* A method that there is, though not here. */
static pj_bool_t is_known(const pj_str_t *method)
{
    static const char *const KNOWN[] = {"REGISTER", "MESSAGE", "SUBSCRIBE", "PUBLISH"};
    unsigned i;

    for (i = 0; i < PJ_ARRAY_SIZE(KNOWN); ++i) {
        if (pj_strcmp2(method, KNOWN[i]) == 0)
            return PJ_TRUE;
    }
    return PJ_FALSE;
}

static pj_bool_t manners_on_rx_request(pjsip_rx_data *rdata)
{
    static const int CAPABILITIES[] = {PJSIP_H_ALLOW, PJSIP_H_OTHER};
    static const pjsip_method INFO = {PJSIP_OTHER_METHOD, {"INFO", 4}};
    const pjsip_method *method = &rdata->msg_info.msg->line.req.method;
    pjsip_hdr headers;

    if (rdata->msg_info.to->tag.slen > 0) {
        if (method->id == PJSIP_OPTIONS_METHOD)
            return answer_options(rdata);
        if (pjsip_method_cmp(method, &INFO) == 0)
            return answer_info(rdata);
        if (pjsip_method_cmp(method, pjsip_get_refer_method()) == 0)
            return puente_take_refer(rdata);
    }
    if (method->id == PJSIP_ACK_METHOD ||
        pjsip_endpt_has_capability(endpoint, PJSIP_H_ALLOW, NULL, &method->name))
        return PJ_FALSE;
    list_capabilities(rdata, &headers, CAPABILITIES);
    respond(rdata, is_known(&method->name) ? 405 : 501, &headers); /* RFC 3261 8.2.1, 21.5.2; PJSUA would say nothing */
    return PJ_TRUE;
}

static pjsip_module manners = {
    .name = {"puente-manners", 14},
    .id = -1,
    .priority = (PJSIP_MOD_PRIORITY_TSX_LAYER + PJSIP_MOD_PRIORITY_UA_PROXY_LAYER) / 2,
    .on_rx_request = &manners_on_rx_request,
};

/* ---- leftovers ------------------------------------------------------------------------------------------------- */

/* A method that is allowed, but only inside a dialog or a subscription, and came without one: BYE, INFO, NOTIFY... */
static pj_bool_t leftovers_on_rx_request(pjsip_rx_data *rdata)
{
    if (rdata->msg_info.msg->line.req.method.id == PJSIP_ACK_METHOD)
        return PJ_FALSE;
    respond(rdata, 481, NULL);
    return PJ_TRUE;
}

static pjsip_module leftovers = {
    .name = {"puente-leftovers", 16},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_APPLICATION + 32,
    .on_rx_request = &leftovers_on_rx_request,
};

/* ---- start ----------------------------------------------------------------------------------------------------- */

/* Takes a method out of the endpoint's Allow header, which PJSIP can only add to; `manners` then answers it with 405. */
static void withdraw(const char *method)
{
    pjsip_allow_hdr *allow = (pjsip_allow_hdr *)pjsip_endpt_get_capability(endpoint, PJSIP_H_ALLOW, NULL);
    unsigned from, to = 0;

    if (!allow)
        return;
    for (from = 0; from < allow->count; ++from) {
        if (pj_stricmp2(&allow->values[from], method) != 0)
            allow->values[to++] = allow->values[from];
    }
    allow->count = to;
}

pj_status_t puente_gate_start(pjsip_endpoint *endpt)
{
    pjsip_module *modules[] = {&admission, &manners, &leftovers};
    pj_status_t status = PJ_SUCCESS;
    unsigned i;

    if (!endpt)
        return PJ_EINVALIDOP;
    endpoint = endpt;
    /* PJSIP sets `id` back to -1 when an endpoint is destroyed. */
    for (i = 0; i < PJ_ARRAY_SIZE(modules) && status == PJ_SUCCESS; ++i) {
        if (modules[i]->id < 0)
            status = pjsip_endpt_register_module(endpt, modules[i]);
    }
    if (status == PJ_SUCCESS)
        status = puente_dialog_start(endpt);
    /* PJSUA says 200 to instant messages and presence subscriptions, which nobody here would ever read or serve. */
    withdraw("MESSAGE");
    withdraw("SUBSCRIBE");
    if (status == PJ_SUCCESS)
        status = puente_hop_start(endpt);
    if (status == PJ_SUCCESS)
        status = puente_courier_start(endpt);
    if (status == PJ_SUCCESS)
        status = pjsip_tpmgr_set_drop_data_cb(pjsip_endpt_get_tpmgr(endpt), &on_rx_dropped);
    return status;
}
