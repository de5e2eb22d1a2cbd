/*
 * Requests outside of calls: REGISTER and OPTIONS, written by the application, sent to exactly one address, answered or
 * given up within a time of their own. And what became of our connections.
 */
#ifndef PUENTE_COURIER_H
#define PUENTE_COURIER_H

#include <pjsip.h>

PJ_BEGIN_DECL

typedef struct puente_letter
{
    int number;
    const char *request; /* the whole message, without Via */
    const char *hop;     /* see hop.h */
    const char *username, *password, *realm; /* empty: a challenge is an answer like any other */
    int timeout_ms;
} puente_letter;

typedef struct puente_reply
{
    struct puente_reply *next;
    int number;
    int status;
    long took_us;
    int answered; /* a response has come; else `reason` is ours */
    char reason[160];
    size_t len;
    char *message; /* the response as it came; empty if there is none */
} puente_reply;

/* A connection that we made and that is no more, or never was. */
typedef struct puente_loss
{
    char source[64]; /* address:port of the other side */
    char transport[8];
    unsigned certificate; /* what is wrong with it, as bits of pj_ssl_cert_verify_flag_t */
    char reason[160];
} puente_loss;

/* Once per endpoint. */
pj_status_t puente_courier_start(pjsip_endpoint *endpt);
/* PJ_SUCCESS: there will be a reply. */
pj_status_t puente_send_letter(const puente_letter *letter);
/* The oldest reply, to be given back by `puente_free_reply`; NULL if there is none. */
puente_reply *puente_take_reply(void);
void puente_free_reply(puente_reply *reply);
/* The oldest loss; PJ_FALSE if there is none. */
pj_bool_t puente_take_loss(puente_loss *out);
/*
 * Keeps the connection to that hop open though nobody uses it, because calls come in over it; one for each account. An
 * empty hop lets go of it.
 */
pj_status_t puente_hold(int account, const char *hop);
/* A newline (RFC 5626 3.5.1) to there, so that the NAT in between keeps the way open. */
pj_status_t puente_keep_alive(const char *hop);

PJ_END_DECL

#endif
