/*
 * The gate: three small PJSIP modules around the stack.
 *
 *     request from the wire
 *        |
 *     admission (before the message log)   unknown source -> dropped without an answer, counted
 *        |
 *     PJSIP transactions
 *        |
 *     manners (before the dialogs)         unknown method -> 405; OPTIONS inside a dialog -> 200
 *        |
 *     PJSIP dialogs, PJSUA
 *        |
 *     leftovers (after everybody)          what nobody wanted -> 481
 *
 * On the way out `admission` also writes down every final refusal of an INVITE, because PJSUA refuses some (bad SDP,
 * bad extension) without asking the application.
 *
 * Nothing here allocates: the tables have a limit and say what they left out. One lock guards them; no PJSIP function
 * is called while it is held, so it can not take part in a deadlock. It is a static pthread mutex because it then
 * outlives any endpoint: PJSUA may be destroyed and created again in one process.
 */
#include "gate.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NETWORKS 1024
#define MAX_DROPPED 256
#define MAX_REFUSED 256

/* IPv4 is kept as IPv4-mapped IPv6 (RFC 4291 2.5.5.2), so that one comparison serves both. */
typedef struct network
{
    unsigned char address[16];
    unsigned prefix_bits;
} network;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static network networks[MAX_NETWORKS];
static unsigned network_count;

static puente_dropped dropped[MAX_DROPPED];
static unsigned dropped_count;
static unsigned long dropped_elsewhere; /* from sources that found no room in the table */

static puente_refused refused[MAX_REFUSED]; /* a ring: the oldest gives way */
static unsigned refused_first, refused_count;

static pjsip_endpoint *endpoint;

/* ---- addresses ------------------------------------------------------------------------------------------------- */

static void map_ipv4(unsigned char out[16], const void *ipv4)
{
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    memcpy(out + 12, ipv4, 4);
}

static pj_bool_t parse_network(char *text, network *out)
{
    struct in_addr ipv4;
    long bits, widest = 128;
    char *end, *slash = strchr(text, '/');

    if (slash)
        *slash++ = '\0';
    if (inet_pton(AF_INET, text, &ipv4) == 1) {
        map_ipv4(out->address, &ipv4);
        widest = 32;
    } else if (inet_pton(AF_INET6, text, out->address) != 1) {
        return PJ_FALSE;
    }
    bits = widest;
    if (slash) {
        bits = strtol(slash, &end, 10);
        if (end == slash || *end || bits < 0 || bits > widest)
            return PJ_FALSE;
    }
    out->prefix_bits = (unsigned)(bits + 128 - widest);
    return PJ_TRUE;
}

static pj_bool_t contains(const network *net, const unsigned char address[16])
{
    unsigned bytes = net->prefix_bits / 8, rest = net->prefix_bits % 8;

    if (memcmp(net->address, address, bytes) != 0)
        return PJ_FALSE;
    return rest == 0 || ((net->address[bytes] ^ address[bytes]) >> (8 - rest)) == 0;
}

static pj_bool_t is_admitted(const pj_sockaddr *from)
{
    unsigned char address[16];
    pj_bool_t found = PJ_FALSE;
    unsigned i;

    if (from->addr.sa_family == pj_AF_INET())
        map_ipv4(address, pj_sockaddr_get_addr(from));
    else if (from->addr.sa_family == pj_AF_INET6())
        memcpy(address, pj_sockaddr_get_addr(from), 16);
    else
        return PJ_FALSE;
    pthread_mutex_lock(&lock);
    for (i = 0; i < network_count && !found; ++i)
        found = contains(&networks[i], address);
    pthread_mutex_unlock(&lock);
    return found;
}

int puente_gate_allow(const char *text)
{
    static network parsed[MAX_NETWORKS]; /* guarded by `lock`, like the list it becomes */
    unsigned count = 0;
    pj_bool_t good = PJ_TRUE;

    pthread_mutex_lock(&lock);
    while (good && *text) {
        char line[PJ_INET6_ADDRSTRLEN + 5];
        size_t len = strcspn(text, "\n");

        if (len > 0) {
            good = len < sizeof(line) && count < MAX_NETWORKS;
            if (good) {
                memcpy(line, text, len);
                line[len] = '\0';
                good = parse_network(line, &parsed[count++]);
            }
        }
        text += len + (text[len] == '\n');
    }
    if (good) {
        memcpy(networks, parsed, count * sizeof(*parsed));
        network_count = count;
    }
    pthread_mutex_unlock(&lock);
    return good ? (int)count : -1;
}

/* ---- what was dropped, what was refused ------------------------------------------------------------------------ */

/* For the line-based report: a control character or a blank would break it, and log lines are no place for either. */
static void copy_word(char *to, size_t size, const char *from, pj_ssize_t len, char blank)
{
    size_t i, most = len < 0 ? 0 : (size_t)len;

    if (most > size - 1)
        most = size - 1;
    for (i = 0; i < most; ++i) {
        unsigned char c = (unsigned char)from[i];
        to[i] = c < ' ' || c == 0x7f ? '?' : c == ' ' ? blank : (char)c;
    }
    to[i] = '\0';
}

static void name_source(char out[PUENTE_GATE_SOURCE_LEN], const char *address, int port)
{
    const char *shape = strchr(address, ':') ? "[%s]:%d" : "%s:%d";

    snprintf(out, PUENTE_GATE_SOURCE_LEN, shape, address, port);
}

static void count_dropped(const char *address, int port, const char *method, pj_ssize_t method_len)
{
    puente_dropped entry;
    unsigned i;

    name_source(entry.source, address, port);
    copy_word(entry.method, sizeof(entry.method), method, method_len, '?');
    entry.count = 1;

    pthread_mutex_lock(&lock);
    for (i = 0; i < dropped_count; ++i) {
        if (strcmp(dropped[i].source, entry.source) == 0 && strcmp(dropped[i].method, entry.method) == 0)
            break;
    }
    if (i < dropped_count)
        ++dropped[i].count;
    else if (dropped_count < MAX_DROPPED)
        dropped[dropped_count++] = entry;
    else
        ++dropped_elsewhere;
    pthread_mutex_unlock(&lock);
}

pj_bool_t puente_gate_take_dropped(puente_dropped *out)
{
    pj_bool_t any = PJ_TRUE;

    pthread_mutex_lock(&lock);
    if (dropped_count > 0) {
        *out = dropped[--dropped_count];
    } else if (dropped_elsewhere > 0) {
        strcpy(out->source, "other");
        strcpy(out->method, "any");
        out->count = dropped_elsewhere;
        dropped_elsewhere = 0;
    } else {
        any = PJ_FALSE;
    }
    pthread_mutex_unlock(&lock);
    return any;
}

static void note_refused(const puente_refused *entry)
{
    pthread_mutex_lock(&lock);
    refused[(refused_first + refused_count) % MAX_REFUSED] = *entry;
    if (refused_count < MAX_REFUSED)
        ++refused_count;
    else
        refused_first = (refused_first + 1) % MAX_REFUSED;
    pthread_mutex_unlock(&lock);
}

pj_bool_t puente_gate_take_refused(puente_refused *out)
{
    pj_bool_t any;

    pthread_mutex_lock(&lock);
    any = refused_count > 0;
    if (any) {
        *out = refused[refused_first];
        refused_first = (refused_first + 1) % MAX_REFUSED;
        --refused_count;
    }
    pthread_mutex_unlock(&lock);
    return any;
}

/* ---- admission ------------------------------------------------------------------------------------------------- */

static pjsip_dialog *dialog_of(const pjsip_rx_data *rdata, pj_bool_t locked)
{
    if (rdata->msg_info.to->tag.slen == 0)
        return NULL;
    return pjsip_ua_find_dialog(&rdata->msg_info.cid->id, &rdata->msg_info.to->tag, &rdata->msg_info.from->tag, locked);
}

static pj_bool_t admission_on_rx_request(pjsip_rx_data *rdata)
{
    const pj_str_t *method = &rdata->msg_info.msg->line.req.method.name;
    pjsip_transport *tp = rdata->tp_info.transport;

    if (is_admitted(&rdata->pkt_info.src_addr))
        return PJ_FALSE;
    /*
     * A dialog is bound to its identifiers, not to an address (RFC 3261 12): without Record-Route the BYE comes
     * straight from the far phone. Who knows Call-ID and both tags belongs to the call.
     */
    if (dialog_of(rdata, PJ_FALSE))
        return PJ_FALSE;

    count_dropped(rdata->pkt_info.src_name, rdata->pkt_info.src_port, method->ptr, method->slen);
    /* Silence on a connection would keep it open for nothing; closed once this packet has been dealt with. */
    if ((tp->flag & PJSIP_TRANSPORT_DATAGRAM) == 0 && tp->dir == PJSIP_TP_DIR_INCOMING)
        pjsip_transport_shutdown(tp);
    return PJ_TRUE;
}

static pjsip_module admission;

static pj_status_t admission_on_tx_response(pjsip_tx_data *tdata)
{
    static const pj_str_t WARNING = {"Warning", 7};
    const pjsip_msg *msg = tdata->msg;
    const pjsip_cseq_hdr *cseq = PJSIP_MSG_CSEQ_HDR(msg);
    const pjsip_cid_hdr *call_id = PJSIP_MSG_CID_HDR(msg);
    const pjsip_warning_hdr *warning;
    char reason[PUENTE_GATE_REASON_LEN];
    puente_refused entry;

    if (msg->line.status.code < 400 || !cseq || !call_id || cseq->method.id != PJSIP_INVITE_METHOD)
        return PJ_SUCCESS;
    if (tdata->mod_data[admission.id]) /* a retransmission sends the same tdata again */
        return PJ_SUCCESS;
    tdata->mod_data[admission.id] = &admission;

    warning = (const pjsip_warning_hdr *)pjsip_msg_find_hdr_by_name(msg, &WARNING, NULL);
    snprintf(reason, sizeof(reason), warning ? "%.*s (%.*s)" : "%.*s", (int)msg->line.status.reason.slen,
                   msg->line.status.reason.ptr, warning ? (int)warning->hvalue.slen : 0,
                   warning ? warning->hvalue.ptr : "");
    name_source(entry.source, tdata->tp_info.dst_name, tdata->tp_info.dst_port);
    copy_word(entry.call_id, sizeof(entry.call_id), call_id->id.ptr, call_id->id.slen, '?');
    copy_word(entry.method, sizeof(entry.method), cseq->method.name.ptr, cseq->method.name.slen, '?');
    copy_word(entry.reason, sizeof(entry.reason), reason, (pj_ssize_t)strlen(reason), ' ');
    entry.status = msg->line.status.code;
    note_refused(&entry);
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
 * the leading newlines that were told in the call just before (PJ_EIGNORED; a bare keep-alive looks the same).
 */
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
        char address[PJ_INET6_ADDRSTRLEN];
        count_dropped(pj_sockaddr_print(peer, address, sizeof(address), 0), pj_sockaddr_get_port(peer), "garbage", 7);
        return;
    }
    if (newlines && newlines_end == data)
        start = newlines;
    rdata = (const pjsip_rx_data *)(start - offsetof(pjsip_rx_data, pkt_info.packet));
    count_dropped(rdata->pkt_info.src_name, rdata->pkt_info.src_port, "garbage", 7);
}

/* ---- manners --------------------------------------------------------------------------------------------------- */

/* Answers without a transaction: a retransmitted request simply gets the same answer again (RFC 3261 8.2.7). */
static void respond(pjsip_rx_data *rdata, int status, const int *capabilities)
{
    pjsip_hdr headers;

    pj_list_init(&headers);
    for (; capabilities && *capabilities != PJSIP_H_OTHER; ++capabilities) {
        const pjsip_hdr *header = pjsip_endpt_get_capability(endpoint, *capabilities, NULL);
        if (header)
            pj_list_push_back(&headers, pjsip_hdr_clone(rdata->tp_info.pool, header));
    }
    pjsip_endpt_respond_stateless(endpoint, rdata, status, NULL, &headers, NULL);
}

/* PJSUA answers an OPTIONS inside a dialog with 500, which some trunks take for a dead call. */
static pj_bool_t answer_options(pjsip_rx_data *rdata)
{
    static const int CAPABILITIES[] = {PJSIP_H_ALLOW, PJSIP_H_ACCEPT, PJSIP_H_SUPPORTED, PJSIP_H_OTHER};
    pjsip_dialog *dialog = dialog_of(rdata, PJ_TRUE);
    pj_bool_t in_order;

    if (!dialog)
        return PJ_FALSE; /* the dialog layer says 481 */
    in_order = rdata->msg_info.cseq->cseq >= dialog->remote.cseq; /* equal: a retransmission */
    if (in_order)
        dialog->remote.cseq = rdata->msg_info.cseq->cseq;
    pjsip_dlg_dec_lock(dialog);
    if (!in_order)
        return PJ_FALSE; /* the dialog layer says 500 (RFC 3261 12.2.2) */
    respond(rdata, 200, CAPABILITIES);
    return PJ_TRUE;
}

static pj_bool_t manners_on_rx_request(pjsip_rx_data *rdata)
{
    static const int CAPABILITIES[] = {PJSIP_H_ALLOW, PJSIP_H_OTHER};
    const pjsip_method *method = &rdata->msg_info.msg->line.req.method;

    if (method->id == PJSIP_OPTIONS_METHOD && rdata->msg_info.to->tag.slen > 0)
        return answer_options(rdata);
    if (method->id == PJSIP_ACK_METHOD ||
        pjsip_endpt_has_capability(endpoint, PJSIP_H_ALLOW, NULL, &method->name))
        return PJ_FALSE;
    respond(rdata, 405, CAPABILITIES); /* RFC 3261 8.2.1; PJSUA would say nothing at all */
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
        status = pjsip_tpmgr_set_drop_data_cb(pjsip_endpt_get_tpmgr(endpt), &on_rx_dropped);
    return status;
}
