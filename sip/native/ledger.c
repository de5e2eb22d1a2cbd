/*
 * Nothing here allocates, and every table says what it left out. One lock guards all; no function of PJSIP is
 * called while it is held, so it can take part in no deadlock. It is a static pthread mutex because it then outlives
 * any endpoint: PJSUA may be destroyed and created again in one process.
 */
#include "ledger.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NETWORKS 16384
#define MAX_NETWORK_TEXT (INET6_ADDRSTRLEN + 16) /* with /128 and an account */
#define MAX_STRANGERS 256
#define ANSWERS_PER_S 10.0      /* to one stranger */
#define ALL_ANSWERS_PER_S 100.0 /* to all of them; once for those with and once for those without proof */
#define MAX_DROPPED 256
#define MAX_REFUSED 256

/* IPv4 is kept as IPv4-mapped IPv6 (RFC 4291 2.5.5.2), so that one comparison serves both. */
typedef struct network
{
    unsigned char address[16];
    unsigned prefix_bits;
    int account;
} network;

/* Tokens that come back with time, up to those of one second but never less than one. */
typedef struct bucket
{
    double tokens;
    long filled_ms;
} bucket;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static network networks[MAX_NETWORKS]; /* longest prefix first */
static unsigned network_count;

static puente_trunk trunks[PUENTE_MAX_TRUNKS];
static unsigned trunk_count;
static unsigned short places[PUENTE_MAX_TRUNKS]; /* by account: where it is among the trunks, from 1; 0: nowhere */
static bucket calls[PUENTE_MAX_TRUNKS]; /* by account: a reload empties none */
static unsigned long excess[PUENTE_MAX_TRUNKS]; /* by account */
static bool has_excess;

static struct stranger
{
    unsigned char address[16];
    bucket answers;
} strangers[MAX_STRANGERS]; /* by a hash of the address; who comes later takes the place */
static bucket answers_to_all[2];

static puente_dropped dropped[MAX_DROPPED];
static unsigned dropped_count;
static unsigned long dropped_elsewhere;

static puente_refused refused[MAX_REFUSED]; /* a ring */
static unsigned refused_first, refused_count;

/* ---- who is admitted ------------------------------------------------------------------------------------------- */

static void map_ipv4(unsigned char out[16], const void *ipv4)
{
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    memcpy(out + 12, ipv4, 4);
}

static bool parse_network(char *text, network *out)
{
    struct in_addr ipv4;
    long bits, widest = 128;
    char *end, *slash, *account = strchr(text, ' ');

    out->account = PUENTE_NO_ACCOUNT;
    if (account) {
        *account++ = '\0';
        out->account = (int)strtol(account, &end, 10);
        if (end == account || *end || out->account < 0 || out->account >= PUENTE_MAX_TRUNKS)
            return false;
    }
    slash = strchr(text, '/');
    if (slash)
        *slash++ = '\0';
    if (inet_pton(AF_INET, text, &ipv4) == 1) {
        map_ipv4(out->address, &ipv4);
        widest = 32;
    } else if (inet_pton(AF_INET6, text, out->address) != 1) {
        return false;
    }
    bits = widest;
    if (slash) {
        bits = strtol(slash, &end, 10);
        if (end == slash || *end || bits < 0 || bits > widest)
            return false;
    }
    out->prefix_bits = (unsigned)(bits + 128 - widest);
    return true;
}

static bool contains(const network *net, const unsigned char address[16])
{
    unsigned bytes = net->prefix_bits / 8, rest = net->prefix_bits % 8;

    if (memcmp(net->address, address, bytes) != 0)
        return false;
    return rest == 0 || ((net->address[bytes] ^ address[bytes]) >> (8 - rest)) == 0;
}

/* In its place among those that have been parsed: behind all whose prefix is as long, so that the first named wins. */
static void insert_network(network *list, unsigned count, const network *one)
{
    unsigned at = count;

    while (at > 0 && list[at - 1].prefix_bits < one->prefix_bits)
        --at;
    memmove(&list[at + 1], &list[at], (count - at) * sizeof(*list));
    list[at] = *one;
}

int puente_admit(const char *text)
{
    static network parsed[MAX_NETWORKS]; /* under the lock, like the list it becomes */
    unsigned count = 0;
    bool good = true;

    pthread_mutex_lock(&lock);
    while (good && *text) {
        char line[MAX_NETWORK_TEXT];
        size_t len = strcspn(text, "\n");
        network one;

        if (len > 0) {
            good = len < sizeof(line) && count < MAX_NETWORKS;
            if (good) {
                memcpy(line, text, len);
                line[len] = '\0';
                good = parse_network(line, &one);
            }
            if (good)
                insert_network(parsed, count++, &one);
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

/* The next field of a line of text; false if it does not fit. */
static bool take_field(const char **text, char *out, size_t size)
{
    size_t len = strcspn(*text, "\t\n");

    if (len >= size)
        return false;
    memcpy(out, *text, len);
    out[len] = '\0';
    *text += len + ((*text)[len] == '\t');
    return true;
}

int puente_set_trunks(const char *text)
{
    static puente_trunk parsed[PUENTE_MAX_TRUNKS];
    unsigned count = 0;
    bool good = true;

    pthread_mutex_lock(&lock);
    while (good && *text) {
        char account[16], calls_per_s[32];
        puente_trunk *one = &parsed[count];

        good = count < PUENTE_MAX_TRUNKS && take_field(&text, account, sizeof(account)) &&
               take_field(&text, calls_per_s, sizeof(calls_per_s)) && take_field(&text, one->host, PUENTE_WORD_LEN) &&
               take_field(&text, one->contact_user, PUENTE_WORD_LEN) &&
               take_field(&text, one->digest_user, PUENTE_WORD_LEN) &&
               take_field(&text, one->password, PUENTE_WORD_LEN) && (*text == '\n' || *text == '\0');
        if (good) {
            one->account = atoi(account);
            one->calls_per_s = atof(calls_per_s);
            good = one->account >= 0 && one->account < PUENTE_MAX_TRUNKS;
            ++count;
            text += *text == '\n';
        }
    }
    if (good) {
        memcpy(trunks, parsed, count * sizeof(*parsed));
        trunk_count = count;
        memset(places, 0, sizeof(places));
        while (count > 0) {
            places[trunks[count - 1].account] = (unsigned short)count;
            --count;
        }
        count = trunk_count;
    }
    memset(parsed, 0, sizeof(parsed)); /* passwords are kept once */
    pthread_mutex_unlock(&lock);
    return good ? (int)count : -1;
}

static const puente_trunk *find_trunk(int account)
{
    unsigned place = account >= 0 && account < PUENTE_MAX_TRUNKS ? places[account] : 0;

    return place ? &trunks[place - 1] : NULL;
}

static bool is_word(const char *word, const char *text, size_t len)
{
    return len > 0 && strlen(word) == len && memcmp(word, text, len) == 0;
}

static bool map_address(unsigned char out[16], const void *address, size_t len)
{
    if (len == 4)
        map_ipv4(out, address);
    else if (len == 16)
        memcpy(out, address, 16);
    else
        return false;
    return true;
}

int puente_trunk_at(const void *address, size_t len, const char *user, size_t user_len, bool *by_user)
{
    unsigned char mapped[16];
    int found = PUENTE_NOBODY;
    unsigned i;

    *by_user = false;
    if (!map_address(mapped, address, len))
        return found;
    pthread_mutex_lock(&lock);
    for (i = 0; i < network_count && !*by_user; ++i) {
        const puente_trunk *trunk;

        if (!contains(&networks[i], mapped))
            continue;
        if (found == PUENTE_NOBODY)
            found = networks[i].account;
        trunk = find_trunk(networks[i].account);
        if (trunk && is_word(trunk->contact_user, user, user_len)) {
            found = trunk->account;
            *by_user = true;
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}

bool puente_is_admitted(const void *address, size_t len)
{
    bool by_user;

    return puente_trunk_at(address, len, NULL, 0, &by_user) != PUENTE_NOBODY;
}

bool puente_trunk_of(int account, puente_trunk *out)
{
    const puente_trunk *found;

    pthread_mutex_lock(&lock);
    found = find_trunk(account);
    if (found)
        *out = *found;
    pthread_mutex_unlock(&lock);
    return found != NULL;
}

bool puente_trunk_of_user(const char *user, size_t len, puente_trunk *out)
{
    bool found = false;
    unsigned i;

    pthread_mutex_lock(&lock);
    for (i = 0; i < trunk_count && !found; ++i) {
        found = is_word(trunks[i].digest_user, user, len);
        if (found)
            *out = trunks[i];
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* ---- how much of it -------------------------------------------------------------------------------------------- */

static bool take_token(bucket *from, double per_s, long now_ms)
{
    double most = per_s < 1.0 ? 1.0 : per_s;

    if (from->filled_ms == 0)
        from->tokens = most;
    else if (now_ms > from->filled_ms)
        from->tokens += per_s * (double)(now_ms - from->filled_ms) / 1000.0;
    if (from->tokens > most)
        from->tokens = most;
    from->filled_ms = now_ms;
    if (from->tokens < 1.0)
        return false;
    from->tokens -= 1.0;
    return true;
}

bool puente_take_call(int account, long now_ms)
{
    const puente_trunk *trunk;
    bool good;

    pthread_mutex_lock(&lock);
    trunk = find_trunk(account);
    good = !trunk || trunk->calls_per_s <= 0.0 || take_token(&calls[account], trunk->calls_per_s, now_ms);
    if (!good) {
        ++excess[account];
        has_excess = true;
    }
    pthread_mutex_unlock(&lock);
    return good;
}

bool puente_take_excess(int *account, unsigned long *count)
{
    int i = PUENTE_MAX_TRUNKS;

    pthread_mutex_lock(&lock);
    if (has_excess) {
        for (i = 0; i < PUENTE_MAX_TRUNKS && excess[i] == 0; ++i)
            ;
        has_excess = i < PUENTE_MAX_TRUNKS;
    }
    if (i < PUENTE_MAX_TRUNKS) {
        *account = i;
        *count = excess[i];
        excess[i] = 0;
    }
    pthread_mutex_unlock(&lock);
    return i < PUENTE_MAX_TRUNKS;
}

bool puente_take_answer(const void *address, size_t len, bool has_proof, long now_ms)
{
    struct stranger *one;
    unsigned char mapped[16];
    unsigned i, hash = 5381;
    bool good;

    if (!map_address(mapped, address, len))
        return false;
    for (i = 0; i < sizeof(mapped); ++i)
        hash = hash * 33 + mapped[i];
    pthread_mutex_lock(&lock);
    one = &strangers[hash % MAX_STRANGERS];
    if (memcmp(one->address, mapped, sizeof(mapped)) != 0) {
        memcpy(one->address, mapped, sizeof(mapped));
        one->answers.filled_ms = 0;
    }
    good = take_token(&one->answers, ANSWERS_PER_S, now_ms) &&
           take_token(&answers_to_all[has_proof], ALL_ANSWERS_PER_S, now_ms);
    pthread_mutex_unlock(&lock);
    return good;
}

/* ---- who was dropped ------------------------------------------------------------------------------------------- */

void puente_copy_field(char *to, size_t size, const char *from, size_t len, char blank)
{
    size_t i, most = len < size ? len : size - 1;

    for (i = 0; i < most; ++i) {
        unsigned char c = (unsigned char)from[i];
        to[i] = c == ' ' ? blank : c < ' ' || c > '~' ? '?' : (char)c;
    }
    to[i] = '\0';
}

void puente_name_source(char out[PUENTE_SOURCE_LEN], const char *address, int port)
{
    snprintf(out, PUENTE_SOURCE_LEN, strchr(address, ':') ? "[%s]:%d" : "%s:%d", address, port);
}

void puente_count_dropped(const char *address, int port, const char *method, size_t method_len)
{
    puente_dropped entry;
    unsigned i;

    puente_name_source(entry.source, address, port);
    puente_copy_field(entry.method, sizeof(entry.method), method, method_len, '?');
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

bool puente_take_dropped(puente_dropped *out)
{
    bool any = true;

    pthread_mutex_lock(&lock);
    if (dropped_count > 0) {
        *out = dropped[--dropped_count];
    } else if (dropped_elsewhere > 0) {
        strcpy(out->source, "other");
        strcpy(out->method, "any");
        out->count = dropped_elsewhere;
        dropped_elsewhere = 0;
    } else {
        any = false;
    }
    pthread_mutex_unlock(&lock);
    return any;
}

/* ---- what was refused ------------------------------------------------------------------------------------------ */

void puente_note_refused(const puente_refused *entry)
{
    pthread_mutex_lock(&lock);
    refused[(refused_first + refused_count) % MAX_REFUSED] = *entry;
    if (refused_count < MAX_REFUSED)
        ++refused_count;
    else
        refused_first = (refused_first + 1) % MAX_REFUSED;
    pthread_mutex_unlock(&lock);
}

bool puente_take_refused(puente_refused *out)
{
    bool any;

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
