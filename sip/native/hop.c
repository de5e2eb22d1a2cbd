/*
 * A trunk is known under several addresses, and which one a call takes is not in its URIs. So the first request of a
 * dialog carries the choice in a header of ours, which is taken out here before anything is written to the wire:
 *
 *     PJSUA: INVITE with Puente-Hop
 *        |
 *     __wrap_pjsip_endpt_send_request_stateless    the header becomes the destination, and the hop of the dialog
 *        |
 *     PJSIP: transport by destination; for TLS the name is checked against the certificate
 *        |
 *     hop_on_tx (before printing)                  Contact and Via name the host that this partner knows us by
 *
 * What follows in the dialog goes where its route set or Contact leads (RFC 3261 12.2.1.1) if that is an address; where
 * it is a name, to the hop: the peer of this dialog is all that a name can mean to who asks no DNS. A dialog that began
 * on a connection of the peer's stays on it while it stands (RFC 5923 says why: behind a NAT there is no other way).
 *
 * The link (--wrap) leads two functions of PJSIP through here.
 */
#include "hop.h"
#include "ledger.h"
#include "gate.h"

#include <pjlib.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pj_status_t hop_on_tx_request(pjsip_tx_data *tdata);
static pj_status_t hop_on_tx_response(pjsip_tx_data *tdata);

static pjsip_module hops = {
    .name = {"puente-hops", 11},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 2, /* on the way out just before the message is printed */
    .on_tx_request = &hop_on_tx_request,
    .on_tx_response = &hop_on_tx_response,
};

pj_status_t puente_hop_start(pjsip_endpoint *endpt)
{
    /* The transport of a trunk is what its settings say: no other is tried because a request is long. */
    pjsip_cfg()->endpt.disable_tcp_switch = PJ_TRUE;
    /* A partner's proxy calls our sips Contact and is called over TLS, while the gateways behind it say sip: 480 to
     * that (RFC 5630, 6.2) would cost a call and secure nothing. */
    pjsip_cfg()->endpt.disable_secure_dlg_check = PJ_TRUE;
    return hops.id < 0 ? pjsip_endpt_register_module(endpt, &hops) : PJ_SUCCESS;
}

/* ---- the choice ------------------------------------------------------------------------------------------------ */

static void copy_word(pj_pool_t *pool, pj_str_t *to, const char *word)
{
    if (strcmp(word, "-") == 0)
        pj_bzero(to, sizeof(*to));
    else
        pj_strdup2_with_null(pool, to, word);
}

puente_hop *puente_parse_hop(pj_pool_t *pool, const char *text, size_t len)
{
    char line[3 * PUENTE_WORD_LEN + 32], transport[8], address[64], name[PUENTE_WORD_LEN], host[PUENTE_WORD_LEN];
    unsigned port;
    puente_hop *hop;
    pj_str_t word;

    if (len >= sizeof(line))
        return NULL;
    memcpy(line, text, len);
    line[len] = '\0';
    if (sscanf(line, "%7s %63s %u %127s %127s", transport, address, &port, name, host) != 5)
        return NULL;
    hop = PJ_POOL_ZALLOC_T(pool, puente_hop);
    copy_word(pool, &hop->name, name);
    copy_word(pool, &hop->host, host);
    if (strcmp(transport, "-") == 0)
        return hop;
    word = pj_str(transport);
    hop->type = pjsip_transport_get_type_from_name(&word);
    word = pj_str(address);
    if (hop->type == PJSIP_TRANSPORT_UNSPECIFIED ||
        pj_sockaddr_init(strchr(address, ':') ? pj_AF_INET6() : pj_AF_INET(), &hop->address, NULL, 0) != PJ_SUCCESS ||
        pj_inet_pton(hop->address.addr.sa_family, &word, pj_sockaddr_get_addr(&hop->address)) != PJ_SUCCESS)
        return NULL;
    pj_sockaddr_set_port(&hop->address, (pj_uint16_t)port);
    if (hop->address.addr.sa_family == pj_AF_INET6())
        hop->type = (pjsip_transport_type_e)((int)hop->type | PJSIP_TRANSPORT_IPV6);
    if (hop->name.slen == 0)
        pj_strdup2_with_null(pool, &hop->name, address);
    return hop;
}

static void send_to(pjsip_tx_data *tdata, pjsip_transport_type_e type, const pj_sockaddr *address, const pj_str_t *name)
{
    pjsip_server_addresses *to = &tdata->dest_info.addr;

    pj_bzero(&tdata->dest_info, sizeof(tdata->dest_info));
    to->count = 1;
    to->entry[0].type = type;
    to->entry[0].addr_len = pj_sockaddr_get_len(address);
    pj_sockaddr_cp(&to->entry[0].addr, address);
    pj_strdup(tdata->pool, &tdata->dest_info.name, name);
}

void puente_aim(pjsip_tx_data *tdata, puente_hop *hop)
{
    tdata->mod_data[hops.id] = hop;
    if (hop->type != PJSIP_TRANSPORT_UNSPECIFIED)
        send_to(tdata, hop->type, &hop->address, &hop->name);
}

/* The hop that the request names itself; the header is gone then. */
static puente_hop *take_hop(pjsip_tx_data *tdata, pj_pool_t *pool)
{
    static const pj_str_t NAME = {PUENTE_HOP_HEADER, sizeof(PUENTE_HOP_HEADER) - 1};
    pjsip_generic_string_hdr *header = (pjsip_generic_string_hdr *)pjsip_msg_find_hdr_by_name(tdata->msg, &NAME, NULL);

    if (!header)
        return NULL;
    pj_list_erase(header);
    pjsip_tx_data_invalidate_msg(tdata);
    return puente_parse_hop(pool, header->hvalue.ptr, (size_t)header->hvalue.slen);
}

static pj_bool_t is_address(const pj_str_t *host)
{
    pj_in_addr ipv4;
    pj_in6_addr ipv6;

    return pj_inet_pton(pj_AF_INET(), host, &ipv4) == PJ_SUCCESS ||
           pj_inet_pton(pj_AF_INET6(), host, &ipv6) == PJ_SUCCESS;
}

/* The peer's own connection, as long as it stands and is of the kind that the request asks for. */
static pj_bool_t keep_connection(pjsip_dialog *dlg, pjsip_tx_data *tdata, const pjsip_host_info *wanted)
{
    pjsip_transport *tp = dlg->tp_sel.type == PJSIP_TPSELECTOR_TRANSPORT ? dlg->tp_sel.u.transport : NULL;
    static const pjsip_tpselector ANY;

    if (!tp)
        return PJ_FALSE;
    if (!tp->is_shutdown && !tp->is_destroying &&
        (wanted->type == PJSIP_TRANSPORT_UNSPECIFIED ||
         ((int)wanted->type | PJSIP_TRANSPORT_IPV6) == ((int)tp->key.type | PJSIP_TRANSPORT_IPV6))) {
        send_to(tdata, (pjsip_transport_type_e)tp->key.type, &tp->key.rem_addr, &tp->remote_name.host);
        return PJ_TRUE;
    }
    pjsip_dlg_set_transport(dlg, &ANY);
    pjsip_tx_data_set_transport(tdata, &ANY);
    return PJ_FALSE;
}

pj_status_t __real_pjsip_endpt_send_request_stateless(pjsip_endpoint *endpt, pjsip_tx_data *tdata, void *token,
                                                      pjsip_send_callback cb);

pj_status_t __wrap_pjsip_endpt_send_request_stateless(pjsip_endpoint *endpt, pjsip_tx_data *tdata, void *token,
                                                      pjsip_send_callback cb)
{
    pjsip_dialog *dlg = pjsip_tdata_get_dlg(tdata);
    const pjsip_to_hdr *to = PJSIP_MSG_TO_HDR(tdata->msg);
    puente_hop *hop;

    if (hops.id < 0)
        return __real_pjsip_endpt_send_request_stateless(endpt, tdata, token, cb);
    hop = take_hop(tdata, dlg ? dlg->pool : tdata->pool);
    if (dlg && hop)
        dlg->mod_data[hops.id] = hop;
    else if (dlg)
        hop = (puente_hop *)dlg->mod_data[hops.id];
    if (hop)
        tdata->mod_data[hops.id] = hop;
    if (hop && tdata->dest_info.addr.count == 0) {
        pjsip_host_info wanted;

        if (to && to->tag.slen == 0)
            puente_aim(tdata, hop);
        else if (pjsip_get_request_dest(tdata, &wanted) == PJ_SUCCESS && !keep_connection(dlg, tdata, &wanted) &&
                 !is_address(&wanted.addr.host))
            puente_aim(tdata, hop);
    }
    return __real_pjsip_endpt_send_request_stateless(endpt, tdata, token, cb);
}

/* ---- no DNS ---------------------------------------------------------------------------------------------------- */

void __real_pjsip_endpt_resolve(pjsip_endpoint *endpt, pj_pool_t *pool, pjsip_host_info *target, void *token,
                                pjsip_resolver_callback *cb);

/* PJSIP would ask the system, and everybody would wait for its answer. */
void __wrap_pjsip_endpt_resolve(pjsip_endpoint *endpt, pj_pool_t *pool, pjsip_host_info *target, void *token,
                                pjsip_resolver_callback *cb)
{
    if (is_address(&target->addr.host))
        __real_pjsip_endpt_resolve(endpt, pool, target, token, cb);
    else
        (*cb)(PJ_ERESOLVE, token, NULL);
}

/* ---- as whom we speak ------------------------------------------------------------------------------------------ */

static void speak_as(pjsip_tx_data *tdata, const pj_str_t *host)
{
    pjsip_contact_hdr *contact = (pjsip_contact_hdr *)pjsip_msg_find_hdr(tdata->msg, PJSIP_H_CONTACT, NULL);
    pjsip_via_hdr *via = (pjsip_via_hdr *)pjsip_msg_find_hdr(tdata->msg, PJSIP_H_VIA, NULL);
    pjsip_uri *uri = contact && contact->uri ? (pjsip_uri *)pjsip_uri_get_uri(contact->uri) : NULL;
    pj_bool_t changed = PJ_FALSE;

    if (host->slen == 0)
        return;
    if (uri && (PJSIP_URI_SCHEME_IS_SIP(uri) || PJSIP_URI_SCHEME_IS_SIPS(uri)) &&
        pj_stricmp(&((pjsip_sip_uri *)uri)->host, host) != 0) {
        ((pjsip_sip_uri *)uri)->host = *host; /* a dialog shares it with its own Contact, and lives as long */
        changed = PJ_TRUE;
    }
    if (tdata->msg->type == PJSIP_REQUEST_MSG && via && pj_stricmp(&via->sent_by.host, host) != 0) {
        via->sent_by.host = *host;
        changed = PJ_TRUE;
    }
    if (changed)
        pjsip_tx_data_invalidate_msg(tdata);
}

/* A request to a sips URI has a Contact that is one (RFC 3261 8.1.1.8); PJSUA looks at the account's name instead. */
static void speak_securely(pjsip_tx_data *tdata)
{
    pjsip_contact_hdr *contact = (pjsip_contact_hdr *)pjsip_msg_find_hdr(tdata->msg, PJSIP_H_CONTACT, NULL);
    pjsip_uri *uri = contact && contact->uri ? (pjsip_uri *)pjsip_uri_get_uri(contact->uri) : NULL;

    if (!uri || !PJSIP_URI_SCHEME_IS_SIP(uri) || !PJSIP_URI_SCHEME_IS_SIPS(tdata->msg->line.req.uri))
        return;
    pjsip_sip_uri_set_secure((pjsip_sip_uri *)uri, PJ_TRUE);
    pjsip_tx_data_invalidate_msg(tdata);
}

static pj_status_t hop_on_tx_request(pjsip_tx_data *tdata)
{
    const puente_hop *hop = (const puente_hop *)tdata->mod_data[hops.id];

    speak_securely(tdata);
    if (hop)
        speak_as(tdata, &hop->host);
    return PJ_SUCCESS;
}

/* The first response of a dialog that a peer has begun: who that is, and how it has come. */
static puente_hop *learn_hop(pjsip_dialog *dlg, const pjsip_tx_data *tdata)
{
    puente_hop *hop = PJ_POOL_ZALLOC_T(dlg->pool, puente_hop);
    pjsip_transport *tp = tdata->tp_info.transport;
    puente_trunk trunk;

    hop->type = (pjsip_transport_type_e)tp->key.type;
    pj_sockaddr_cp(&hop->address, &tdata->tp_info.dst_addr);
    pj_strdup2(dlg->pool, &hop->name, tdata->tp_info.dst_name);
    if (puente_trunk_of(puente_gate_matched(NULL), &trunk) && *trunk.host)
        pj_strdup2_with_null(dlg->pool, &hop->host, trunk.host);
    if ((tp->flag & PJSIP_TRANSPORT_DATAGRAM) == 0) {
        pjsip_tpselector selector;

        pj_bzero(&selector, sizeof(selector));
        selector.type = PJSIP_TPSELECTOR_TRANSPORT;
        selector.u.transport = tp;
        pjsip_dlg_set_transport(dlg, &selector);
    }
    dlg->mod_data[hops.id] = hop;
    return hop;
}

static pj_status_t hop_on_tx_response(pjsip_tx_data *tdata)
{
    pjsip_dialog *dlg = pjsip_tdata_get_dlg(tdata);
    puente_hop *hop;

    if (!dlg || !tdata->tp_info.transport)
        return PJ_SUCCESS;
    hop = (puente_hop *)dlg->mod_data[hops.id];
    if (!hop && dlg->role == PJSIP_ROLE_UAS)
        hop = learn_hop(dlg, tdata);
    if (hop)
        speak_as(tdata, &hop->host);
    return PJ_SUCCESS;
}
