/*
 * Three tables with a limit each: who is admitted, who was dropped, what was refused. No PJSIP in here.
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

/* Requests (or garbage) from one source that got no answer. */
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

/*
 * Replaces the list of admitted sources: addresses and CIDR ranges, IPv4 or IPv6, one per line. Returns how many there
 * are, or -1 when a line is none of these or there are too many lines; the old list then stays. At first: nobody.
 */
int puente_admit(const char *text);
/* `address` is of 4 or 16 bytes, in network order. */
bool puente_is_admitted(const void *address, size_t len);

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
