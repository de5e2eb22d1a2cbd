#include "strict.h"

#include <pjlib.h>

#include <stdio.h>
#include <string.h>

/* ---- what can be parsed ---------------------------------------------------------------------------------------- */

/* Headers of which there may be one (RFC 3261 7.3.1, table 2). */
static const pjsip_hdr_e SINGLE[] = {PJSIP_H_FROM,           PJSIP_H_TO,           PJSIP_H_CALL_ID, PJSIP_H_CSEQ,
                                     PJSIP_H_CONTENT_LENGTH, PJSIP_H_CONTENT_TYPE, PJSIP_H_MAX_FORWARDS};

static pj_bool_t has_twice(const pjsip_msg *msg)
{
    unsigned seen = 0, i;
    const pjsip_hdr *header;

    for (header = msg->hdr.next; header != &msg->hdr; header = header->next) {
        for (i = 0; i < PJ_ARRAY_SIZE(SINGLE); ++i) {
            if (header->type != SINGLE[i])
                continue;
            if (seen & (1u << i))
                return PJ_TRUE;
            seen |= 1u << i;
        }
    }
    return PJ_FALSE;
}

static pj_bool_t is_kind(const pjsip_media_type *kind, const char *type, const char *subtype)
{
    return pj_stricmp2(&kind->type, type) == 0 && (!subtype || pj_stricmp2(&kind->subtype, subtype) == 0);
}

static void find(puente_fault *fault, int status, const char *reason)
{
    fault->status = status;
    fault->reason = pj_str((char *)reason);
}

static void find_fault_of_uri(const pjsip_uri *uri, puente_fault *fault)
{
    const pjsip_uri *inner = (const pjsip_uri *)pjsip_uri_get_uri(uri);

    if (!PJSIP_URI_SCHEME_IS_SIP(inner) && !PJSIP_URI_SCHEME_IS_SIPS(inner))
        find(fault, 416, "Unsupported URI Scheme"); /* 8.2.2.1 */
    else if (!pj_list_empty(&((const pjsip_sip_uri *)inner)->header_param))
        find(fault, 400, "Headers in Request-URI"); /* 19.1.1, table 1 */
}

static pj_bool_t is_supported(pjsip_endpoint *endpt, const pj_str_t *tag)
{
    return pjsip_endpt_has_capability(endpt, PJSIP_H_SUPPORTED, NULL, tag);
}

/* For the first INVITE PJSUA does this, and knows which extensions this account will have. */
static void find_unsupported(pjsip_endpoint *endpt, pjsip_rx_data *rdata, puente_fault *fault)
{
    const pjsip_require_hdr *require =
        (const pjsip_require_hdr *)pjsip_msg_find_hdr(rdata->msg_info.msg, PJSIP_H_REQUIRE, NULL);
    pjsip_unsupported_hdr *unsupported = NULL;
    unsigned i;

    for (i = 0; require && i < require->count; ++i) {
        if (is_supported(endpt, &require->values[i]))
            continue;
        if (!unsupported)
            unsupported = pjsip_unsupported_hdr_create(rdata->tp_info.pool);
        unsupported->values[unsupported->count++] = require->values[i];
    }
    if (unsupported) {
        find(fault, 420, "Bad Extension"); /* 8.2.2.3 */
        pj_list_push_back(&fault->headers, unsupported);
    }
}

static void accept_sdp(pjsip_rx_data *rdata, puente_fault *fault)
{
    pjsip_accept_hdr *accept = pjsip_accept_hdr_create(rdata->tp_info.pool);

    accept->values[accept->count++] = pj_str("application/sdp");
    pj_list_push_back(&fault->headers, accept);
}

static pj_bool_t takes_sdp(const pj_str_t *range)
{
    pj_str_t kind = *range;
    const char *parameters = pj_strchr(range, ';');

    if (parameters)
        kind.slen = parameters - kind.ptr;
    pj_strtrim(&kind);
    return pj_stricmp2(&kind, "application/sdp") == 0 || pj_stricmp2(&kind, "application/*") == 0 ||
           pj_stricmp2(&kind, "*/*") == 0;
}

/* An INVITE that brings, or wants, anything but SDP. */
static void find_fault_of_body(pjsip_rx_data *rdata, puente_fault *fault)
{
    static const pj_str_t DISPOSITION = {"Content-Disposition", 19}, OPTIONAL = {"handling=optional", 17};
    const pjsip_msg *msg = rdata->msg_info.msg;
    const pjsip_accept_hdr *accept = (const pjsip_accept_hdr *)pjsip_msg_find_hdr(msg, PJSIP_H_ACCEPT, NULL);
    const pjsip_generic_string_hdr *disposition =
        (const pjsip_generic_string_hdr *)pjsip_msg_find_hdr_by_name(msg, &DISPOSITION, NULL);
    unsigned i;

    if (msg->body && msg->body->len > 0 && !is_kind(&msg->body->content_type, "application", "sdp") &&
        !is_kind(&msg->body->content_type, "multipart", NULL) &&
        !(disposition && pj_stristr(&disposition->hvalue, &OPTIONAL))) {
        find(fault, 415, "Unsupported Media Type"); /* 8.2.3 */
        accept_sdp(rdata, fault);
    } else if (accept && accept->count > 0) {
        for (i = 0; i < accept->count && !takes_sdp(&accept->values[i]); ++i)
            ;
        if (i == accept->count)
            find(fault, 406, "Not Acceptable"); /* 21.4.7; all that we ever say in a call is SDP */
    }
}

void puente_find_fault(pjsip_endpoint *endpt, pjsip_rx_data *rdata, puente_fault *fault)
{
    const pjsip_msg *msg = rdata->msg_info.msg;
    const pjsip_method *method = &msg->line.req.method;
    const pjsip_clen_hdr *length = rdata->msg_info.clen;

    fault->status = 0;
    pj_list_init(&fault->headers);
    if (method->id == PJSIP_ACK_METHOD)
        return;
    if (has_twice(msg))
        find(fault, 400, "Header Field Twice");
    else if (pjsip_method_cmp(method, &rdata->msg_info.cseq->method) != 0)
        find(fault, 400, "CSeq Of Another Method"); /* 8.1.1.5 */
    else if (length && length->len > 0 && (!msg->body || !is_kind(&msg->body->content_type, "multipart", NULL)) &&
             (pj_size_t)length->len > (msg->body ? msg->body->len : 0))
        find(fault, 400, "Content-Length Beyond The End"); /* 18.3 */
    else
        find_fault_of_uri(msg->line.req.uri, fault);
    if (fault->status || method->id == PJSIP_CANCEL_METHOD)
        return;
    if (method->id == PJSIP_INVITE_METHOD)
        find_fault_of_body(rdata, fault);
    if (!fault->status && (method->id != PJSIP_INVITE_METHOD || rdata->msg_info.to->tag.slen > 0))
        find_unsupported(endpt, rdata, fault);
}

/* ---- what can not ---------------------------------------------------------------------------------------------- */

typedef struct writer
{
    char *at, *end;
} writer;

static void put(writer *out, const char *text, size_t len)
{
    if (out->at && len < (size_t)(out->end - out->at)) {
        memcpy(out->at, text, len);
        out->at += len;
    } else {
        out->at = NULL; /* it does not fit: there will be no answer */
    }
}

/* Where the header that begins here ends: a line that begins with a blank goes on (7.3.1). */
static const char *end_of_header(const char *at, const char *end)
{
    for (; at < end; ++at) {
        if (*at == '\n' && (at + 1 == end || (at[1] != ' ' && at[1] != '\t')))
            return at + 1;
    }
    return end;
}

/* Headers that a response takes from its request (8.2.6.2), and their short forms. */
static const struct echoed
{
    const char *name, *shorter;
    pj_bool_t is_list;
} ECHOED[] = {{"via", "v", PJ_TRUE}, {"from", "f", PJ_FALSE}, {"to", "t", PJ_FALSE}, {"call-id", "i", PJ_FALSE},
              {"cseq", "", PJ_FALSE}};

#define TO 2

static int which_header(const char *at, const char *end)
{
    const char *colon = (const char *)memchr(at, ':', (size_t)(end - at));
    pj_str_t name;
    unsigned i;

    if (!colon)
        return -1;
    name.ptr = (char *)at;
    name.slen = colon - at;
    pj_strrtrim(&name);
    for (i = 0; i < PJ_ARRAY_SIZE(ECHOED); ++i) {
        if (pj_stricmp2(&name, ECHOED[i].name) == 0 || (*ECHOED[i].shorter && pj_stricmp2(&name, ECHOED[i].shorter) == 0))
            return (int)i;
    }
    return -1;
}

static void put_header(writer *out, const char *at, const char *end, int which)
{
    static const char TAG[] = ";tag=malformed";
    static const pj_str_t HAS_TAG = {"tag", 3};
    pj_str_t line;

    while (end > at && (end[-1] == '\r' || end[-1] == '\n'))
        --end;
    put(out, at, (size_t)(end - at));
    line.ptr = (char *)at;
    line.slen = end - at;
    if (which == TO && !pj_stristr(&line, &HAS_TAG))
        put(out, TAG, sizeof(TAG) - 1);
    put(out, "\r\n", 2);
}

/* Whether a request URI is of a scheme that only others know (RFC 3986 3.1), which PJSIP can not parse. */
static pj_bool_t is_strange(const char *uri, const char *end)
{
    const char *at = uri;
    pj_str_t scheme;

    while (at < end && (pj_isalnum(*at) || strchr("+-.", *at)))
        ++at;
    if (at == uri || at == end || *at != ':' || !pj_isalpha(*uri))
        return PJ_FALSE;
    scheme.ptr = (char *)uri;
    scheme.slen = at - uri;
    return pj_stricmp2(&scheme, "sip") != 0 && pj_stricmp2(&scheme, "sips") != 0;
}

/* The status line for `METHOD uri SIP/version`; NULL for what is none, and for ACK: to that there is no answer. */
static const char *status_line(const char *text, const char *end)
{
    const pj_str_t line = {(char *)text, end - text};
    static const pj_str_t VERSION = {" SIP/", 5};
    const char *version = pj_strstr(&line, &VERSION), *uri = (const char *)memchr(text, ' ', (size_t)(end - text));

    if (!version || memchr(text, 0, (size_t)(end - text)) || (line.slen > 4 && memcmp(text, "SIP/", 4) == 0) ||
        (line.slen > 4 && memcmp(text, "ACK ", 4) == 0))
        return NULL;
    if (end - version < 8 || memcmp(version, " SIP/2.0", 8) != 0)
        return "SIP/2.0 505 Version Not Supported\r\n";
    return is_strange(uri + 1, end) ? "SIP/2.0 416 Unsupported URI Scheme\r\n" : "SIP/2.0 400 Bad Request\r\n";
}

size_t puente_answer_malformed(const char *text, size_t len, char *out, size_t size)
{
    static const char TAIL[] = "Content-Length: 0\r\n\r\n";
    const char *end = text + len, *at = (const char *)memchr(text, '\n', len);
    const char *first = at ? status_line(text, at) : NULL;
    writer to = {out, out + size};
    pj_bool_t seen[PJ_ARRAY_SIZE(ECHOED)] = {0};

    if (!first)
        return 0;
    put(&to, first, strlen(first));
    for (++at; at < end && *at != '\r' && *at != '\n';) {
        const char *next = end_of_header(at, end);
        int which = which_header(at, next);

        if (which >= 0 && (!seen[which] || ECHOED[which].is_list)) {
            put_header(&to, at, next, which);
            seen[which] = PJ_TRUE;
        }
        at = next;
    }
    if (!seen[0]) /* without a Via nobody could know whose answer it is */
        return 0;
    put(&to, TAIL, sizeof(TAIL) - 1);
    return to.at ? (size_t)(to.at - out) : 0;
}
