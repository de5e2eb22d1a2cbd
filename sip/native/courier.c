/*
 *     application: text of a request, hop, credentials, time-out
 *        |
 *     puente_send_letter -> PJSIP transaction -> the hop
 *        |                       |
 *        |          401, 407: once more with credentials
 *        |                       |
 *     puente_take_reply <- final response, time-out or transport error
 *
 * A time-out over TCP or TLS closes the connection too: what has stopped to answer may have forgotten it, and the next
 * attempt shall not wait for TCP to find out.
 */
#include "courier.h"
#include "hop.h"

#include <pjlib.h>
#include <pjsua-lib/pjsua.h>

#include <stdlib.h>
#include <string.h>

#define MAX_LOSSES 128
#define MAX_CHALLENGES 2 /* one for the password, one for a nonce that has just grown old */

typedef struct parcel
{
    int number;
    pj_pool_t *pool;
    pjsip_transaction *tsx;
    pj_timestamp sent;
    pj_timer_entry timer;
    pjsip_auth_clt_sess auth;
    pj_bool_t has_credentials;
    int challenges;
    puente_hop *hop;
} parcel;

static pjsip_endpoint *endpoint;
static puente_reply *first_reply, **last_reply = &first_reply;
static puente_loss losses[MAX_LOSSES]; /* a ring: the oldest gives way */
static unsigned first_loss, loss_count;
static pjsip_tp_state_callback pjsua_state_cb;
static pjsip_transport *held[PJSUA_MAX_ACC];

static void courier_on_tsx_state(pjsip_transaction *tsx, pjsip_event *event);

static pjsip_module courier = {
    .name = {"puente-courier", 14},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_APPLICATION,
    .on_tsx_state = &courier_on_tsx_state,
};

/* ---- replies --------------------------------------------------------------------------------------------------- */

static void copy_text(char *to, size_t size, const pj_str_t *from)
{
    size_t i, len = (size_t)from->slen < size ? (size_t)from->slen : size - 1;

    for (i = 0; i < len; ++i)
        to[i] = from->ptr[i] < ' ' ? ' ' : from->ptr[i];
    to[len] = '\0';
}

static void deliver(parcel *one, int status, const pj_str_t *reason, const pjsip_rx_data *rdata)
{
    puente_reply *reply = (puente_reply *)calloc(1, sizeof(*reply));
    pj_timestamp now;

    if (one->timer.id)
        pjsip_endpt_cancel_timer(endpoint, &one->timer);
    if (reply) {
        pj_get_timestamp(&now);
        reply->number = one->number;
        reply->status = status;
        reply->took_us = (long)pj_elapsed_usec(&one->sent, &now);
        reply->answered = rdata != NULL;
        copy_text(reply->reason, sizeof(reply->reason), reason);
        reply->message = rdata ? (char *)malloc((size_t)rdata->msg_info.len) : NULL;
        if (reply->message) {
            reply->len = (size_t)rdata->msg_info.len;
            memcpy(reply->message, rdata->msg_info.msg_buf, reply->len);
        }
        *last_reply = reply;
        last_reply = &reply->next;
    }
    if (one->has_credentials)
        pjsip_auth_clt_deinit(&one->auth);
    pjsip_endpt_release_pool(endpoint, one->pool);
}

puente_reply *puente_take_reply(void)
{
    puente_reply *reply = first_reply;

    if (reply) {
        first_reply = reply->next;
        if (!first_reply)
            last_reply = &first_reply;
    }
    return reply;
}

void puente_free_reply(puente_reply *reply)
{
    free(reply->message);
    free(reply);
}

/* ---- one request ----------------------------------------------------------------------------------------------- */

static void close_connection(const puente_hop *hop, pjsip_tx_data *tdata)
{
    pjsip_transport *tp;

    if (pjsip_transport_get_flag_from_type(hop->type) & PJSIP_TRANSPORT_DATAGRAM)
        return;
    if (pjsip_endpt_acquire_transport2(endpoint, hop->type, &hop->address, pj_sockaddr_get_len(&hop->address), NULL,
                                       tdata, &tp) == PJ_SUCCESS) {
        pjsip_transport_shutdown(tp);
        pjsip_transport_dec_ref(tp);
    }
}

static void on_timeout(pj_timer_heap_t *heap, pj_timer_entry *entry)
{
    parcel *one = (parcel *)entry->user_data;

    PJ_UNUSED_ARG(heap);
    entry->id = 0;
    if (one->tsx->last_tx)
        close_connection(one->hop, one->tsx->last_tx);
    pjsip_tsx_terminate(one->tsx, PJSIP_SC_REQUEST_TIMEOUT); /* which ends in courier_on_tsx_state */
}

/* PJ_SUCCESS: the parcel is on its way, or has been delivered already and is gone. */
static pj_status_t dispatch(parcel *one, pjsip_tx_data *tdata)
{
    pjsip_transaction *tsx;
    pj_status_t status = pjsip_tsx_create_uac(&courier, tdata, &tsx);

    if (status != PJ_SUCCESS) {
        pjsip_tx_data_dec_ref(tdata);
        return status;
    }
    one->tsx = tsx;
    tsx->mod_data[courier.id] = one;
    status = pjsip_tsx_send_msg(tsx, NULL);
    if (status == PJ_SUCCESS)
        return status;
    pjsip_tx_data_dec_ref(tdata);
    if (tsx->mod_data[courier.id] == NULL)
        return PJ_SUCCESS;
    tsx->mod_data[courier.id] = NULL;
    if (tsx->state < PJSIP_TSX_STATE_TERMINATED)
        pjsip_tsx_terminate(tsx, PJSIP_SC_SERVICE_UNAVAILABLE);
    return status;
}

/* The same request with credentials; PJ_FALSE: this answer is the final one. */
static pj_bool_t try_again(parcel *one, pjsip_transaction *tsx, const pjsip_rx_data *rdata)
{
    pjsip_tx_data *tdata;
    pjsip_cseq_hdr *cseq;

    if (!one->has_credentials || one->challenges >= MAX_CHALLENGES ||
        (tsx->status_code != PJSIP_SC_UNAUTHORIZED && tsx->status_code != PJSIP_SC_PROXY_AUTHENTICATION_REQUIRED))
        return PJ_FALSE;
    ++one->challenges;
    if (pjsip_auth_clt_reinit_req(&one->auth, rdata, tsx->last_tx, &tdata) != PJ_SUCCESS)
        return PJ_FALSE;
    cseq = PJSIP_MSG_CSEQ_HDR(tdata->msg);
    ++cseq->cseq;
    return dispatch(one, tdata) == PJ_SUCCESS;
}

static void courier_on_tsx_state(pjsip_transaction *tsx, pjsip_event *event)
{
    parcel *one = (parcel *)tsx->mod_data[courier.id];
    const pjsip_rx_data *rdata = NULL;

    if (!one || event->type != PJSIP_EVENT_TSX_STATE || tsx->status_code < 200)
        return;
    tsx->mod_data[courier.id] = NULL;
    if (event->body.tsx_state.type == PJSIP_EVENT_RX_MSG)
        rdata = event->body.tsx_state.src.rdata;
    if (rdata && try_again(one, tsx, rdata))
        return;
    deliver(one, tsx->status_code, rdata ? &rdata->msg_info.msg->line.status.reason : &tsx->status_text, rdata);
}

/* The message of a letter, with a Via that the transport will fill in. NULL: it is no request. */
static pjsip_tx_data *write_out(const puente_letter *letter)
{
    size_t len = strlen(letter->request);
    pjsip_tx_data *tdata;
    pjsip_via_hdr *via;
    char *text;

    if (pjsip_endpt_create_tdata(endpoint, &tdata) != PJ_SUCCESS)
        return NULL;
    pjsip_tx_data_add_ref(tdata);
    text = (char *)pj_pool_alloc(tdata->pool, len + 1);
    memcpy(text, letter->request, len + 1);
    tdata->msg = pjsip_parse_msg(tdata->pool, text, len, NULL);
    if (!tdata->msg || tdata->msg->type != PJSIP_REQUEST_MSG || !PJSIP_MSG_CSEQ_HDR(tdata->msg)) {
        pjsip_tx_data_dec_ref(tdata);
        return NULL;
    }
    via = pjsip_via_hdr_create(tdata->pool);
    via->rport_param = 0;
    pjsip_msg_insert_first_hdr(tdata->msg, (pjsip_hdr *)via);
    return tdata;
}

static pj_status_t give_credentials(parcel *one, const puente_letter *letter)
{
    pjsip_cred_info cred;
    pj_status_t status;

    if (!*letter->username)
        return PJ_SUCCESS;
    status = pjsip_auth_clt_init(&one->auth, endpoint, one->pool, 0);
    if (status != PJ_SUCCESS)
        return status;
    one->has_credentials = PJ_TRUE;
    pj_bzero(&cred, sizeof(cred));
    cred.realm = pj_str((char *)letter->realm);
    cred.scheme = pj_str("digest");
    cred.username = pj_str((char *)letter->username);
    cred.data = pj_str((char *)letter->password);
    return pjsip_auth_clt_set_credentials(&one->auth, 1, &cred);
}

pj_status_t puente_send_letter(const puente_letter *letter)
{
    pj_pool_t *pool = pjsip_endpt_create_pool(endpoint, "courier%p", 1024, 1024);
    parcel *one = PJ_POOL_ZALLOC_T(pool, parcel);
    pjsip_tx_data *tdata = NULL;
    pj_time_val delay = {letter->timeout_ms / 1000, letter->timeout_ms % 1000};
    pj_status_t status;

    one->number = letter->number;
    one->pool = pool;
    one->hop = puente_parse_hop(pool, letter->hop, strlen(letter->hop));
    if (!one->hop || one->hop->type == PJSIP_TRANSPORT_UNSPECIFIED || (tdata = write_out(letter)) == NULL) {
        pjsip_endpt_release_pool(endpoint, pool);
        return PJ_EINVAL;
    }
    status = give_credentials(one, letter);
    pj_get_timestamp(&one->sent);
    if (status == PJ_SUCCESS) {
        /* The request may outlive the parcel by its retransmissions: a hop of its own. */
        puente_aim(tdata, puente_parse_hop(tdata->pool, letter->hop, strlen(letter->hop)));
        pj_timer_entry_init(&one->timer, 1, one, &on_timeout);
        status = pjsip_endpt_schedule_timer(endpoint, &one->timer, &delay);
        if (status == PJ_SUCCESS)
            status = dispatch(one, tdata);
    } else {
        pjsip_tx_data_dec_ref(tdata);
    }
    if (status != PJ_SUCCESS) {
        char text[128];
        pj_str_t reason = pj_strerror(status, text, sizeof(text));

        deliver(one, PJSIP_SC_SERVICE_UNAVAILABLE, &reason, NULL);
    }
    return PJ_SUCCESS;
}

/* ---- connections ----------------------------------------------------------------------------------------------- */

static void on_tp_state(pjsip_transport *tp, pjsip_transport_state state, const pjsip_transport_state_info *info)
{
    const pj_bool_t is_lost = state == PJSIP_TP_STATE_DISCONNECTED || state == PJSIP_TP_STATE_SHUTDOWN;

    if (is_lost && tp->dir == PJSIP_TP_DIR_OUTGOING) {
        const pjsip_tls_state_info *tls =
            info && tp->flag & PJSIP_TRANSPORT_SECURE ? (const pjsip_tls_state_info *)info->ext_info : NULL;
        puente_loss *loss = &losses[(first_loss + loss_count) % MAX_LOSSES];
        char text[128];
        pj_str_t reason = pj_str("");

        if (loss_count < MAX_LOSSES)
            ++loss_count;
        else
            first_loss = (first_loss + 1) % MAX_LOSSES;
        if (info && info->status != PJ_SUCCESS && info->status != PJ_ECANCELLED) /* which is our own doing */
            reason = pj_strerror(info->status, text, sizeof(text));
        pj_sockaddr_print(&tp->key.rem_addr, loss->source, sizeof(loss->source), 3);
        pj_ansi_strxcpy(loss->transport, tp->flag & PJSIP_TRANSPORT_SECURE ? "tls" : "tcp", sizeof(loss->transport));
        loss->certificate = tls && tls->ssl_sock_info ? (unsigned)tls->ssl_sock_info->verify_status : 0;
        copy_text(loss->reason, sizeof(loss->reason), &reason);
    }
    if (pjsua_state_cb)
        (*pjsua_state_cb)(tp, state, info);
}

pj_bool_t puente_take_loss(puente_loss *out)
{
    if (loss_count == 0)
        return PJ_FALSE;
    *out = losses[first_loss];
    first_loss = (first_loss + 1) % MAX_LOSSES;
    --loss_count;
    return PJ_TRUE;
}

pj_status_t puente_hold(int account, const char *text)
{
    pj_pool_t *pool;
    puente_hop *hop;
    pjsip_transport *tp = NULL;

    if (account < 0 || account >= PJSUA_MAX_ACC)
        return PJ_EINVAL;
    if (*text) {
        pool = pjsip_endpt_create_pool(endpoint, "hold%p", 512, 512);
        hop = puente_parse_hop(pool, text, strlen(text));
        if (hop && (pjsip_transport_get_flag_from_type(hop->type) & PJSIP_TRANSPORT_DATAGRAM) == 0 &&
            pjsip_endpt_acquire_transport(endpoint, hop->type, &hop->address, pj_sockaddr_get_len(&hop->address), NULL,
                                          &tp) != PJ_SUCCESS)
            tp = NULL;
        pjsip_endpt_release_pool(endpoint, pool);
    }
    if (held[account])
        pjsip_transport_dec_ref(held[account]);
    held[account] = tp;
    return PJ_SUCCESS;
}

pj_status_t puente_keep_alive(const char *text)
{
    static const char NEWLINE[] = "\r\n\r\n";
    pj_pool_t *pool = pjsip_endpt_create_pool(endpoint, "alive%p", 512, 512);
    puente_hop *hop = puente_parse_hop(pool, text, strlen(text));
    pj_status_t status = PJ_EINVAL;

    if (hop && hop->type != PJSIP_TRANSPORT_UNSPECIFIED)
        status = pjsip_tpmgr_send_raw(pjsip_endpt_get_tpmgr(endpoint), hop->type, NULL, NULL, NEWLINE,
                                      sizeof(NEWLINE) - 1, &hop->address, pj_sockaddr_get_len(&hop->address), NULL,
                                      NULL);
    pjsip_endpt_release_pool(endpoint, pool);
    return status;
}

pj_status_t puente_courier_start(pjsip_endpoint *endpt)
{
    pjsip_tpmgr *manager = pjsip_endpt_get_tpmgr(endpt);

    endpoint = endpt;
    pj_bzero(held, sizeof(held)); /* of an endpoint before this one */
    if (courier.id >= 0)
        return PJ_SUCCESS;
    pjsua_state_cb = pjsip_tpmgr_get_state_cb(manager);
    pjsip_tpmgr_set_state_cb(manager, &on_tp_state);
    return pjsip_endpt_register_module(endpt, &courier);
}
