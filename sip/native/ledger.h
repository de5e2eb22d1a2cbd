/*
 * Tables with a limit each: who is admitted and as which trunk, who was dropped, what was refused. No PJSIP in here.
 */
#ifndef PUENTE_LEDGER_H
#define PUENTE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PUENTE_SOURCE_LEN 56 /* [address]:port */
#define PUENTE_METHOD_LEN 24
#define PUENTE_CALL_ID_LEN 128
#define PUENTE_REASON_LEN 160
#define PUENTE_WORD_LEN 128

/*
 * Requests (or garbage) from one source that came to nothing. The method may end with why, after an exclamation mark:
 * `INVITE!limit` was answered 503, `INVITE!challenge` 401, `INVITE!password` 403. Without one there was no answer.
 */
typedef struct puente_dropped
{
    char source[PUENTE_SOURCE_LEN];
    char method[PUENTE_METHOD_LEN];
    unsigned long count;
} puente_dropped;

/* One final refusal of an INVITE, as it went out. */
typedef struct puente_refused
{
    char source[PUENTE_SOURCE_LEN];
    char call_id[PUENTE_CALL_ID_LEN];
    char method[PUENTE_METHOD_LEN];
    int status;
    char reason[PUENTE_REASON_LEN];
} puente_refused;

/* What the gate has to know of one trunk; `account` is PJSUA's number of it. */
typedef struct puente_trunk
{
    int account;
    double calls_per_s; /* 0: as many as there are */
    char host[PUENTE_WORD_LEN]; /* as whom we speak to it; empty: as ourselves */
    char contact_user[PUENTE_WORD_LEN]; /* an INVITE from its addresses to this user is of this trunk */
    char digest_user[PUENTE_WORD_LEN];  /* who comes from anywhere, and proves it; empty: nobody */
    char password[PUENTE_WORD_LEN];
} puente_trunk;

#define PUENTE_MAX_TRUNKS 2048 /* PJSUA_MAX_ACC (config_site.h) */
#define PUENTE_NOBODY (-2)    /* no trunk at all */
#define PUENTE_NO_ACCOUNT (-1) /* admitted, as no trunk in particular */

/*
 * Replaces the list of admitted sources: addresses and CIDR ranges, IPv4 or IPv6, one per line, each with the account
 * it belongs to behind a blank if there is one. Returns how many there are, or -1 when a line is none of these or there
 * are too many lines; the old list then stays. At first: nobody.
 */
int puente_admit(const char *text);
/*
 * Replaces the list of trunks: one per line, the fields as above with tabs between. How many; -1: nothing changed.
 */
int puente_set_trunks(const char *text);
/*
 * Whose requests come from there: the longest prefix decides, and where several trunks share the address the one whose
 * Contact the request is for. `address` is of 4 or 16 bytes, in network order. `by_user`: the Contact has decided.
 */
int puente_trunk_at(const void *address, size_t len, const char *user, size_t user_len, bool *by_user);
bool puente_is_admitted(const void *address, size_t len);
/* The trunk of an account, or the one that knows this digest user; false if there is none. */
bool puente_trunk_of(int account, puente_trunk *out);
bool puente_trunk_of_user(const char *user, size_t len, puente_trunk *out);
/* Takes one call out of what a trunk may have in this second; false, and counted, when there is nothing left. */
bool puente_take_call(int account, long now_ms);
/* Calls of one account that were too many since this was last asked; false when there are no more such accounts. */
bool puente_take_excess(int *account, unsigned long *count);
/*
 * The same for answers to strangers who claim to be a digest user. One address gets few; all strangers together get not
 * many, and those who bring an Authorization do not wait behind those who bring none.
 */
bool puente_take_answer(const void *address, size_t len, bool has_proof, long now_ms);

/* `method` need not be terminated. A source without a place in the full table is counted as `other`. */
void puente_count_dropped(const char *address, int port, const char *method, size_t method_len);
/* A full table forgets its oldest entry. */
void puente_note_refused(const puente_refused *entry);

/* Take one entry out; false when there is none left. */
bool puente_take_dropped(puente_dropped *out);
bool puente_take_refused(puente_refused *out);

/* Writes `address:port`, with brackets around an IPv6 address. */
void puente_name_source(char out[PUENTE_SOURCE_LEN], const char *address, int port);
/* Copies what the world sent into one field of a line: no control characters, blanks as `blank`, cut to size. */
void puente_copy_field(char *to, size_t size, const char *from, size_t len, char blank);

#ifdef __cplusplus
}
#endif

#endif
