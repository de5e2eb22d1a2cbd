/*
 * A nonce is the second it was made in, and a MAC of that, of the address it was made for and of the account: nothing is
 * kept for somebody who has proven nothing. It lives for a minute. What is kept is which nonces have let somebody in,
 * and up to which count: with qop a nonce may be used again with a higher count (RFC 2617 3.2.2), without it just once.
 */
#include "digest.h"

#include <pjlib-util/hmac_sha1.h>
#include <pjlib-util/string.h>
#include <pjlib.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REALM "puente"
#define NONCE_LIFE_S 60
#define MAC_LEN 20
#define NONCE_LEN (8 + 2 * MAC_LEN)
#define MAX_USED 512

static unsigned char key[32];
static pj_bool_t has_key;

static struct used_nonce
{
    char nonce[NONCE_LEN];
    unsigned long count;
} used[MAX_USED]; /* a ring: each is one INVITE that was let in, and they live for a minute only */
static unsigned next_used;

static unsigned now_s(void)
{
    pj_time_val now;

    pj_gettickcount(&now);
    return (unsigned)now.sec;
}

static void make_nonce(char out[NONCE_LEN + 1], unsigned made_s, const pjsip_rx_data *rdata, int account)
{
    static const char HEX[] = "0123456789abcdef";
    char text[PJ_INET6_ADDRSTRLEN + 40];
    pj_uint8_t mac[MAC_LEN];
    int i, len;

    if (!has_key)
        has_key = getentropy(key, sizeof(key)) == 0;
    len = snprintf(text, sizeof(text), "%08x %s %d", made_s, rdata->pkt_info.src_name, account);
    pj_hmac_sha1((const pj_uint8_t *)text, (unsigned)len, key, sizeof(key), mac);
    snprintf(out, 9, "%08x", made_s);
    for (i = 0; i < MAC_LEN; ++i) {
        out[8 + 2 * i] = HEX[mac[i] >> 4];
        out[9 + 2 * i] = HEX[mac[i] & 15];
    }
    out[NONCE_LEN] = '\0';
}

/* Takes as long for a near miss as for a far one. */
static pj_bool_t is_same(const char *a, const char *b, size_t len)
{
    unsigned char differs = 0;
    size_t i;

    for (i = 0; i < len; ++i)
        differs |= (unsigned char)(a[i] ^ b[i]);
    return differs == 0;
}

/* Ours, for this address and account, and not yet too old. */
static pj_bool_t is_fresh(const pj_str_t *nonce, const pjsip_rx_data *rdata, int account)
{
    char made[9], expected[NONCE_LEN + 1];
    unsigned made_s;

    if (nonce->slen != NONCE_LEN)
        return PJ_FALSE;
    memcpy(made, nonce->ptr, 8);
    made[8] = '\0';
    made_s = (unsigned)strtoul(made, NULL, 16);
    make_nonce(expected, made_s, rdata, account);
    return is_same(expected, nonce->ptr, NONCE_LEN) && now_s() - made_s <= NONCE_LIFE_S;
}

/* Notes that it has let somebody in; false if it has done so with this count or a higher one before. */
static pj_bool_t use_nonce(const pj_str_t *nonce, unsigned long count)
{
    unsigned i;

    for (i = 0; i < MAX_USED; ++i) {
        if (memcmp(used[i].nonce, nonce->ptr, NONCE_LEN) == 0) {
            if (count <= used[i].count)
                return PJ_FALSE;
            used[i].count = count;
            return PJ_TRUE;
        }
    }
    memcpy(used[next_used].nonce, nonce->ptr, NONCE_LEN);
    used[next_used].count = count;
    next_used = (next_used + 1) % MAX_USED;
    return PJ_TRUE;
}

static pj_bool_t is_right(const pjsip_rx_data *rdata, const pjsip_digest_credential *given, const puente_trunk *trunk)
{
    static const pj_str_t SHA256 = {"SHA-256", 7}, AUTH = {"auth", 4};
    const pj_bool_t is_sha256 = pj_stricmp(&given->algorithm, &SHA256) == 0;
    pjsip_cred_info cred;
    pj_str_t expected, none = {NULL, 0};
    char digest[PJSIP_SHA256STRLEN];

    if (given->qop.slen > 0 && pj_stricmp(&given->qop, &AUTH) != 0)
        return PJ_FALSE;
    pj_bzero(&cred, sizeof(cred));
    cred.realm = pj_str(REALM);
    cred.scheme = pj_str("digest");
    cred.username = pj_str((char *)trunk->digest_user);
    cred.data_type = PJSIP_CRED_DATA_PLAIN_PASSWD;
    cred.data = pj_str((char *)trunk->password);
    expected.ptr = digest;
    expected.slen = is_sha256 ? PJSIP_SHA256STRLEN : PJSIP_MD5STRLEN;
    if (pjsip_auth_create_digest2(&expected, &given->nonce, given->qop.slen ? &given->nc : &none,
                                  given->qop.slen ? &given->cnonce : &none, &given->qop, &given->uri, &cred.realm,
                                  &cred, &rdata->msg_info.msg->line.req.method.name,
                                  is_sha256 ? PJSIP_AUTH_ALGORITHM_SHA256 : PJSIP_AUTH_ALGORITHM_MD5) != PJ_SUCCESS)
        return PJ_FALSE;
    return given->response.slen == expected.slen && is_same(given->response.ptr, expected.ptr, (size_t)expected.slen);
}

static const pjsip_digest_credential *credential_of(const pjsip_rx_data *rdata, puente_trunk *trunk)
{
    const pjsip_msg *msg = rdata->msg_info.msg;
    const pjsip_authorization_hdr *header = NULL;

    while ((header = (const pjsip_authorization_hdr *)pjsip_msg_find_hdr(
                msg, PJSIP_H_AUTHORIZATION, header ? (const void *)header->next : NULL)) != NULL) {
        const pjsip_digest_credential *given = &header->credential.digest;

        if (pj_stricmp2(&header->scheme, "digest") == 0 &&
            puente_trunk_of_user(given->username.ptr, (size_t)given->username.slen, trunk))
            return given;
        if ((const void *)header->next == (const void *)&msg->hdr)
            break;
    }
    return NULL;
}

pj_bool_t puente_claims(const pjsip_rx_data *rdata, puente_trunk *trunk)
{
    const pjsip_uri *from = (const pjsip_uri *)pjsip_uri_get_uri(rdata->msg_info.from->uri);

    if (PJSIP_URI_SCHEME_IS_SIP(from) || PJSIP_URI_SCHEME_IS_SIPS(from)) {
        const pj_str_t *user = &((const pjsip_sip_uri *)from)->user;
        if (puente_trunk_of_user(user->ptr, (size_t)user->slen, trunk))
            return PJ_TRUE;
    }
    return credential_of(rdata, trunk) != NULL;
}

puente_proof puente_prove(pjsip_rx_data *rdata, puente_trunk *trunk)
{
    const pjsip_digest_credential *given = credential_of(rdata, trunk);
    char count[16] = "";

    if (!given)
        return puente_claims(rdata, trunk) ? PUENTE_UNPROVEN : PUENTE_STRANGER;
    if (pj_strcmp2(&given->realm, REALM) != 0)
        return PUENTE_UNPROVEN;
    if (!is_right(rdata, given, trunk))
        return PUENTE_DISPROVEN;
    if (given->qop.slen > 0 && given->nc.slen < (pj_ssize_t)sizeof(count))
        memcpy(count, given->nc.ptr, (size_t)given->nc.slen);
    if (!is_fresh(&given->nonce, rdata, trunk->account) ||
        !use_nonce(&given->nonce, given->qop.slen > 0 ? strtoul(count, NULL, 16) : 1))
        return PUENTE_STALE;
    return PUENTE_PROVEN;
}

pjsip_hdr *puente_challenge(pjsip_rx_data *rdata, const puente_trunk *trunk, pj_bool_t stale)
{
    pj_pool_t *pool = rdata->tp_info.pool;
    pjsip_www_authenticate_hdr *header = pjsip_www_authenticate_hdr_create(pool);
    pjsip_digest_challenge *challenge = &header->challenge.digest;
    char nonce[NONCE_LEN + 1];

    make_nonce(nonce, now_s(), rdata, trunk->account);
    header->scheme = pj_str("Digest");
    challenge->realm = pj_str(REALM);
    pj_strdup2(pool, &challenge->nonce, nonce);
    challenge->algorithm = pj_str("MD5"); /* what every partner can do; SHA-256 is taken too (RFC 8760) */
    challenge->qop = pj_str("auth");
    challenge->stale = stale;
    return (pjsip_hdr *)header;
}
