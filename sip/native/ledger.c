/*
 * Nothing here allocates, and every table says what it left out. One lock guards all three; no function of PJSIP is
 * called while it is held, so it can take part in no deadlock. It is a static pthread mutex because it then outlives
 * any endpoint: PJSUA may be destroyed and created again in one process.
 */
#include "ledger.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NETWORKS 1024
#define MAX_NETWORK_TEXT (INET6_ADDRSTRLEN + 4) /* with /128 */
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
    char *end, *slash = strchr(text, '/');

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

int puente_admit(const char *text)
{
    static network parsed[MAX_NETWORKS]; /* under the lock, like the list it becomes */
    unsigned count = 0;
    bool good = true;

    pthread_mutex_lock(&lock);
    while (good && *text) {
        char line[MAX_NETWORK_TEXT];
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

bool puente_is_admitted(const void *address, size_t len)
{
    unsigned char mapped[16];
    bool found = false;
    unsigned i;

    if (len == 4)
        map_ipv4(mapped, address);
    else if (len == sizeof(mapped))
        memcpy(mapped, address, sizeof(mapped));
    else
        return false;
    pthread_mutex_lock(&lock);
    for (i = 0; i < network_count && !found; ++i)
        found = contains(&networks[i], mapped);
    pthread_mutex_unlock(&lock);
    return found;
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
