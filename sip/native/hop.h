/*
 * Where our requests go, and as whom we speak: decided by the control process, never by DNS.
 */
#ifndef PUENTE_HOP_H
#define PUENTE_HOP_H

#include <pjsip.h>

PJ_BEGIN_DECL

/* Header of a first request that names its hop. It never leaves the machine. */
#define PUENTE_HOP_HEADER "Puente-Hop"

typedef struct puente_hop
{
    pjsip_transport_type_e type; /* PJSIP_TRANSPORT_UNSPECIFIED: wherever the request's own URIs lead */
    pj_sockaddr address;
    pj_str_t name; /* whom the certificate must be for */
    pj_str_t host; /* what we write into Contact and Via; empty: the transport's own address */
} puente_hop;

/* Puts its module into the endpoint; once per endpoint. */
pj_status_t puente_hop_start(pjsip_endpoint *endpt);
/* Reads `udp|tcp|tls|- address port name host`, with `-` for what is empty. NULL if it is none. */
puente_hop *puente_parse_hop(pj_pool_t *pool, const char *text, size_t len);
/* The request goes there, and speaks as the hop says. */
void puente_aim(pjsip_tx_data *tdata, puente_hop *hop);

PJ_END_DECL

#endif
