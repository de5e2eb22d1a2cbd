/* The packet step: the way of the ordinary packet through one call, without the interpreter.
 *
 *     up      RTP socket -> header -> who, which, when -> ledger -> platform's format -> far socket
 *     down    platform's frame -> caller's codec -> header -> RTP socket
 *
 * Nothing here knows more than the Python path, and nothing is kept here: all state lives in the slots of the Python
 * objects (media.near, media.rtp, media.uplink, media.playout, media.clock ...), is read from there for each packet and
 * written back. So there is one owner, the Python path may take the next packet at any time, and whatever is not
 * ordinary (another source, number, payload type or length, a loss, a digit, SRTP, a codec with a memory, a queue that
 * holds something, a tick that is not open) is handed to it, untouched, before anything has been changed.
 *
 * tests/media/native/test_step.py drives both with the same wires and compares every byte and every counter.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { HEADER = 12, MAX_DATAGRAM = 2048, MAX_LINE = MAX_DATAGRAM - HEADER };

/* --- slots of Python objects ------------------------------------------------------------------------------------- */

#define SLOTS(X)                                                                                                      \
    X(near, _spec) X(near, srtp) X(near, _inband) X(near, _decoder) X(near, _encoder) X(near, _locked)                \
    X(near, _their_ssrc) X(near, _last_heard) X(near, max_gap_s) X(near, ssrc) X(near, _sequence) X(near, _timestamp) \
    X(near, _mark) X(near, _silence) X(near, _step) X(near, _octets) X(near, sent) X(near, on_air)                    \
    X(reception, _base) X(reception, _max_seq) X(reception, _cycles) X(reception, _seen) X(reception, _last_transit)  \
    X(reception, _rate_hz) X(reception, received) X(reception, jitter)                                                \
    X(reorder, window_s) X(reorder, _held)                                                                            \
    X(uplink, _started) X(uplink, _next_ts) X(uplink, _rate_hz) X(uplink, _cut_at) X(uplink, _filling)                \
    X(uplink, origin) X(uplink, sent) X(uplink, crowded)                                                              \
    X(mender, before) X(mender, last) X(mender, is_open)                                                              \
    X(turns, is_awaited) X(turns, _quiet) X(turns, _caller_at) X(turns, _agent_at) X(turns, _spoken) X(turns, _enough) \
    X(turns, _was_loud) X(sender, _digits) X(digits, _timestamp)                                                      \
    X(tally, up) X(tally, up_bytes) X(tally, down_bytes) X(tally, send_errors)                                        \
    X(histogram, add) X(bell, at)                                                                                     \
    X(playout, sends_ahead) X(playout, _frames) X(playout, _carry) X(playout, _flushed_at) X(playout, _dry_since)     \
    X(playout, _target) X(playout, _ticks) X(playout, _mender) X(playout, _ptime_ms) X(playout, _pushed)              \
    X(playout, played_ms) X(playout, waited) X(playout, missed_by) X(playout, down)                                   \
    X(pacer, due_at) X(pacer, _patience_s) X(pacer, _ptime_s) X(pacer, _slew_left) X(pacer, _moved)                   \
    X(pacer, _moved_at_tick) X(pacer, _least_wait) X(pacer, _most_wait)                                          \
    X(pacer, _seen) X(pacer, _window)

#define NAME(owner, slot) owner##__##slot,
enum slot { SLOTS(NAME) SLOT_COUNT };
#undef NAME
#define ROW(owner, slot) {#owner, #slot},
static const struct { const char *owner, *name; } ROWS[SLOT_COUNT] = {SLOTS(ROW)};
#undef ROW
static Py_ssize_t offsets[SLOT_COUNT];

#define AT(object, slot) (*(PyObject **)((char *)(object) + offsets[slot]))
#define IS_NONE(object, slot) (AT(object, slot) == Py_None)
#define IS_TRUE(object, slot) (AT(object, slot) == Py_True)

/* Where a class keeps its slots. learn({"near": NearEnd, ...}): every owner of the list above must be there. */
static PyObject *learn(PyObject *module, PyObject *classes)
{
    (void)module;
    for (int slot = 0; slot < SLOT_COUNT; slot++) {
        PyObject *class = PyMapping_GetItemString(classes, ROWS[slot].owner);
        if (class == NULL)
            return NULL;
        PyObject *member = PyObject_GetAttrString(class, ROWS[slot].name);
        Py_DECREF(class);
        if (member == NULL)
            return NULL;
        if (!Py_IS_TYPE(member, &PyMemberDescr_Type)) {
            Py_DECREF(member);
            return PyErr_Format(PyExc_TypeError, "%s.%s is no slot", ROWS[slot].owner, ROWS[slot].name);
        }
        offsets[slot] = ((PyMemberDescrObject *)member)->d_member->offset;
        Py_DECREF(member);
    }
    Py_RETURN_NONE;
}

/* A slot as a number. The slots hold floats and ints, as the types of the Python path say and mypy proves. */
static double real(PyObject *value)
{
    return PyFloat_Check(value) ? PyFloat_AS_DOUBLE(value) : PyLong_AsDouble(value);
}

static long long whole(PyObject *value)
{
    return PyLong_AsLongLong(value);
}

#define REAL(object, slot) real(AT(object, slot))
#define WHOLE(object, slot) whole(AT(object, slot))

/* Takes over `value`; NULL (no memory) leaves the old one, the error is seen at the end of the step. */
static void put(PyObject *object, enum slot slot, PyObject *value)
{
    if (value != NULL)
        Py_XSETREF(AT(object, slot), value);
}

#define PUT_REAL(object, slot, value) put(object, slot, PyFloat_FromDouble(value))
#define PUT_WHOLE(object, slot, value) put(object, slot, PyLong_FromLongLong(value))
#define PUT(object, slot, value) put(object, slot, Py_NewRef(value))

/* --- one call ---------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    int fd;
    /* given at birth */
    PyObject *near, *reception, *reorder, *uplink, *mender, *turns, *sender, *digits, *tally;
    PyObject *receive, *hear, *attend, *broke; /* turns alone may be exchanged: for None, when nobody listens for them */
    /* set from Python whenever it changes; None: the Python path takes everything that needs it */
    PyObject *far, *tap, *playout, *pacer, *bell, *up_table, *down_table;
    double attend_at;
    /* what was made of a spec and an address, valid as long as they are the same objects */
    PyObject *known_spec, *known_locked, *known_peer, *known_quiet;
    struct sockaddr_in locked, peer;
    int payload_type, receives;
    uint8_t is_loud[256];
} Step;

static PyObject *FULL; /* rtp.Reception._seen after 128 packets in order */
static PyObject *MASK, *ONE;
static PyObject *s_direct, *s_caller, *s_agent, *s_due, *s_settle, *s_next, *s_payload_type, *s_receives;

enum { PACKETS_SEEN = 128, STRIDE = 3 };
static const double TRIM_MS = 45, STEADY_MS = 1, HOLD_OFF_MS = 60, FORGOTTEN_S = 1.0, PAUSE_S = 0.2;
enum { LOUD_SHARE = 8 };

static double monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec * 1000000000LL + now.tv_nsec) / 1e9;
}

static int resolve(PyObject *address, struct sockaddr_in *out)
{
    const char *host;
    int port;
    memset(out, 0, sizeof *out);
    out->sin_family = AF_INET;
    if (!PyTuple_Check(address) || !PyArg_ParseTuple(address, "si", &host, &port)
        || inet_pton(AF_INET, host, &out->sin_addr) != 1) {
        PyErr_Clear();
        return -1;
    }
    out->sin_port = htons((uint16_t)port);
    return 0;
}

static int same(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
    return a->sin_addr.s_addr == b->sin_addr.s_addr && a->sin_port == b->sin_port;
}

/* Is there a spec and a source, and are they those that we know? Looks them up anew when not. */
static int agreed(Step *self)
{
    PyObject *spec = AT(self->near, near___spec), *locked = AT(self->near, near___locked);
    if (spec == Py_None || locked == Py_None)
        return 0;
    if (spec != self->known_spec) {
        PyObject *type = PyObject_GetAttr(spec, s_payload_type), *receives = PyObject_GetAttr(spec, s_receives);
        if (type != NULL && receives != NULL) {
            self->payload_type = (int)PyLong_AsLong(type);
            self->receives = receives == Py_True;
            Py_XSETREF(self->known_spec, Py_NewRef(spec));
        }
        Py_XDECREF(type);
        Py_XDECREF(receives);
    }
    if (locked != self->known_locked) {
        if (resolve(locked, &self->locked) < 0)
            return 0;
        Py_XSETREF(self->known_locked, Py_NewRef(locked));
    }
    return spec == self->known_spec && IS_NONE(self->near, near__srtp);
}

/* 0, or -1 and an error. */
static int call(PyObject *function, PyObject *argument)
{
    PyObject *done = PyObject_CallOneArg(function, argument);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int call_seconds(PyObject *function, double seconds)
{
    PyObject *value = PyFloat_FromDouble(seconds);
    int done = value == NULL ? -1 : call(function, value);
    Py_XDECREF(value);
    return done;
}

static int add(PyObject *histogram, double seconds)
{
    return call_seconds(AT(histogram, histogram__add), seconds);
}

/* A method of TurnMeter: `line`, what came before it (or nothing), and the time. */
static int judge(PyObject *turns, PyObject *method, PyObject *line, PyObject *last, PyObject *before, double now)
{
    PyObject *at = PyFloat_FromDouble(now), *done = NULL;
    if (at != NULL)
        done = last ? PyObject_CallMethodObjArgs(turns, method, line, last, before, at, NULL)
                    : PyObject_CallMethodObjArgs(turns, method, line, at, NULL);
    Py_XDECREF(at);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int is_loud(Step *self, PyObject *line)
{
    PyObject *quiet = AT(self->turns, turns___quiet);
    if (quiet != self->known_quiet) {
        memset(self->is_loud, 1, sizeof self->is_loud);
        for (Py_ssize_t n = 0; n < PyBytes_GET_SIZE(quiet); n++)
            self->is_loud[(uint8_t)PyBytes_AS_STRING(quiet)[n]] = 0;
        Py_XSETREF(self->known_quiet, Py_NewRef(quiet));
    }
    Py_ssize_t loud = 0, size = PyBytes_GET_SIZE(line);
    for (Py_ssize_t n = 0; n < size; n++)
        loud += self->is_loud[(uint8_t)PyBytes_AS_STRING(line)[n]];
    return loud * LOUD_SHARE > size;
}

/* TurnMeter.caller and agent, as long as nothing begins or ends. */
static int judge_caller(Step *self, PyObject *line, double now)
{
    PyObject *turns = self->turns;
    if (turns == Py_None)
        return 0;
    if (!is_loud(self, line))
        return IS_TRUE(turns, turns___was_loud) ? judge(turns, s_caller, line, AT(self->mender, mender__last),
                                                        AT(self->mender, mender__before), now) : 0;
    long long spoken = now - REAL(turns, turns___caller_at) > FORGOTTEN_S ? 0 : WHOLE(turns, turns___spoken);
    spoken += PyBytes_GET_SIZE(line);
    PUT_WHOLE(turns, turns___spoken, spoken);
    PUT(turns, turns__is_awaited, spoken >= WHOLE(turns, turns___enough) ? Py_True : Py_False);
    PUT_REAL(turns, turns___caller_at, now);
    PUT(turns, turns___was_loud, Py_True);
    return 0;
}

static int judge_agent(Step *self, PyObject *frame, double now)
{
    if (self->turns == Py_None || !is_loud(self, frame))
        return 0;
    if (now - REAL(self->turns, turns___agent_at) >= PAUSE_S)
        return judge(self->turns, s_agent, frame, NULL, NULL, now);
    PUT_REAL(self->turns, turns___agent_at, now);
    return 0;
}

static int is_awaited(Step *self)
{
    return self->turns != Py_None && IS_TRUE(self->turns, turns__is_awaited);
}

static long long behind(PyObject *uplink, double now)
{
    return (long long)((now - REAL(uplink, uplink__origin)) * REAL(uplink, uplink___rate_hz))
           - WHOLE(uplink, uplink__sent);
}

/* By a table: none (as it is), 256 codes, 256 samples of two bytes (host order), or a code for each of 65,536 samples.
 * Returns NULL without an error when this table does not fit this data. */
static PyObject *converted(PyObject *table, PyObject *data)
{
    Py_ssize_t entries = PyBytes_GET_SIZE(table), size = PyBytes_GET_SIZE(data);
    const uint8_t *by = (const uint8_t *)PyBytes_AS_STRING(table), *from = (const uint8_t *)PyBytes_AS_STRING(data);
    if (entries == 0)
        return Py_NewRef(data);
    Py_ssize_t length = entries == 512 ? 2 * size : entries == 65536 ? size / 2 : size;
    PyObject *out = PyBytes_FromStringAndSize(NULL, length);
    if (out == NULL)
        return NULL;
    uint8_t *to = (uint8_t *)PyBytes_AS_STRING(out);
    uint16_t sample;
    if (entries == 512)
        for (Py_ssize_t n = 0; n < size; n++)
            memcpy(to + 2 * n, by + 2 * from[n], 2);
    else if (entries == 65536)
        for (Py_ssize_t n = 0; n < length; n++) {
            memcpy(&sample, from + 2 * n, 2);
            to[n] = by[sample];
        }
    else
        for (Py_ssize_t n = 0; n < size; n++)
            to[n] = by[from[n]];
    return out;
}

/* --- up ---------------------------------------------------------------------------------------------------------- */

/* rtp.Reception.arrive of the packet that comes next. */
static void arrive(PyObject *reception, unsigned sequence, uint32_t timestamp, double now)
{
    if (sequence == 0)
        PUT_WHOLE(reception, reception___cycles, WHOLE(reception, reception___cycles) + 0x10000);
    PUT_WHOLE(reception, reception___max_seq, sequence);
    PyObject *seen = AT(reception, reception___seen);
    if (seen != FULL) {
        PyObject *shifted = PyNumber_Lshift(seen, ONE), *marked = shifted ? PyNumber_Or(shifted, ONE) : NULL;
        PyObject *kept = marked ? PyNumber_And(marked, MASK) : NULL;
        Py_XDECREF(shifted);
        Py_XDECREF(marked);
        if (kept != NULL && PyObject_RichCompareBool(kept, FULL, Py_EQ) == 1)
            Py_SETREF(kept, Py_NewRef(FULL));
        put(reception, reception___seen, kept);
    }
    PUT_WHOLE(reception, reception__received, WHOLE(reception, reception__received) + 1);
    double rate_hz = REAL(reception, reception___rate_hz), transit = now * rate_hz - (double)timestamp;
    if (!IS_NONE(reception, reception___last_transit)) {
        double change = fabs(transit - REAL(reception, reception___last_transit));
        double jitter = REAL(reception, reception__jitter);
        if (change < rate_hz)
            PUT_REAL(reception, reception__jitter, jitter + (change - jitter) / 16);
    }
    PUT_REAL(reception, reception___last_transit, transit);
}

/* The ordinary packet: 1 it has gone up, 0 it is the Python path's (nothing was changed), -1 an error. */
static int take_up(Step *self, const uint8_t *data, Py_ssize_t size, const struct sockaddr_in *source, double now)
{
    PyObject *near = self->near, *reception = self->reception, *uplink = self->uplink, *mender = self->mender;
    if (self->far == Py_None || self->up_table == Py_None || size <= HEADER || data[0] != 0x80 || !agreed(self)
        || data[1] != self->payload_type || !same(source, &self->locked))
        return 0;
    unsigned sequence = (unsigned)data[2] << 8 | data[3];
    uint32_t timestamp = (uint32_t)data[4] << 24 | (uint32_t)data[5] << 16 | (uint32_t)data[6] << 8 | data[7];
    uint32_t ssrc = (uint32_t)data[8] << 24 | (uint32_t)data[9] << 16 | (uint32_t)data[10] << 8 | data[11];
    if (IS_NONE(near, near___their_ssrc) || WHOLE(near, near___their_ssrc) != ssrc || IS_NONE(reception, reception___base)
        || ((WHOLE(reception, reception___max_seq) + 1) & 0xFFFF) != sequence || REAL(self->reorder, reorder__window_s) != 0
        || !IS_NONE(near, near___decoder) || !IS_NONE(near, near___inband) || IS_TRUE(mender, mender__is_open)
        || !IS_TRUE(uplink, uplink___started) || IS_NONE(uplink, uplink___next_ts)
        || (uint32_t)WHOLE(uplink, uplink___next_ts) != timestamp)
        return 0;
    Py_ssize_t samples = size - HEADER; /* one byte each: a codec without a decoder is G.711 */
    long long lead = samples - behind(uplink, now);
    double rate_hz = REAL(uplink, uplink___rate_hz), left = (double)(lead - samples);
    if ((double)(lead * 1000) / rate_hz > TRIM_MS
        || (REAL(uplink, uplink___cut_at) == 0 ? left >= (double)samples : left * 1000 >= STEADY_MS * rate_hz))
        return 0;
    PyObject *send = PyObject_GetAttr(self->far, s_direct);
    if (send == NULL || send == Py_None) { /* a slow socket, or none any more */
        Py_XDECREF(send);
        return send == NULL ? -1 : 0;
    }
    PyObject *line = PyBytes_FromStringAndSize((const char *)data + HEADER, samples);
    PyObject *audio = line ? converted(self->up_table, line) : NULL;
    int done = -1;
    if (audio == NULL)
        goto end;

    double gap_s = now - REAL(near, near___last_heard);
    if (gap_s > REAL(near, near__max_gap_s))
        PUT_REAL(near, near__max_gap_s, gap_s);
    PUT_REAL(near, near___last_heard, now);
    arrive(reception, sequence, timestamp, now);
    if (sequence % STRIDE == 0 && judge_caller(self, line, now) < 0)
        goto end;
    PUT_WHOLE(uplink, uplink___next_ts, (uint32_t)(timestamp + (uint32_t)samples));
    PUT(uplink, uplink__crowded, Py_False);
    PUT_REAL(uplink, uplink___cut_at, 0.0);
    PUT_WHOLE(uplink, uplink__sent, WHOLE(uplink, uplink__sent) + samples);
    PUT_WHOLE(uplink, uplink___filling, 0);
    PUT(mender, mender__before, AT(mender, mender__last));
    PUT(mender, mender__last, line);
    if (self->tap != Py_None && call(self->tap, line) < 0)
        goto end;
    PUT_WHOLE(self->tally, tally__up_bytes, WHOLE(self->tally, tally__up_bytes) + samples);
    done = call(send, audio);
end:
    Py_DECREF(send);
    Py_XDECREF(line);
    Py_XDECREF(audio);
    return done < 0 || PyErr_Occurred() ? -1 : 1;
}

/* --- down -------------------------------------------------------------------------------------------------------- */

static void serialize(uint8_t *header, int payload_type, unsigned sequence, uint32_t timestamp, uint32_t ssrc)
{
    uint32_t words[3] = {htonl(0x80000000u | (uint32_t)payload_type << 16 | sequence), htonl(timestamp), htonl(ssrc)};
    memcpy(header, words, sizeof words);
}

/* clock.Pacer.due of one frame that is early, and align: how long before its time the frame came. */
static int advance(PyObject *pacer, double due_at, double waited)
{
    PyObject *done = NULL;
    if (REAL(pacer, pacer___slew_left) != 0) {
        done = PyObject_CallMethodOneArg(pacer, s_due, AT(pacer, pacer__due_at));
        if (done == NULL)
            return -1;
        Py_CLEAR(done);
    } else {
        PUT_REAL(pacer, pacer__due_at, due_at + REAL(pacer, pacer___ptime_s));
        PUT(pacer, pacer___moved_at_tick, AT(pacer, pacer___moved));
    }
    double wait = waited - REAL(pacer, pacer___moved_at_tick);
    if (wait < REAL(pacer, pacer___least_wait))
        PUT_REAL(pacer, pacer___least_wait, wait);
    if (wait > REAL(pacer, pacer___most_wait))
        PUT_REAL(pacer, pacer___most_wait, wait);
    long long seen = WHOLE(pacer, pacer___seen) + 1;
    PUT_WHOLE(pacer, pacer___seen, seen);
    if (seen >= WHOLE(pacer, pacer___window)) {
        done = PyObject_CallMethodOneArg(pacer, s_settle, AT(pacer, pacer___least_wait));
        if (done == NULL)
            return -1;
        Py_DECREF(done);
    }
    return 0;
}

/* Would this frame leave at once, and is everything as it usually is? */
static int may_pass(Step *self, double now)
{
    PyObject *near = self->near, *playout = self->playout, *pacer = self->pacer;
    if (self->far == Py_None || self->down_table == Py_None || playout == Py_None || pacer == Py_None
        || self->bell == Py_None || !agreed(self) || !self->receives)
        return 0;
    double due_at = REAL(pacer, pacer__due_at);
    return now < due_at && now >= due_at - REAL(pacer, pacer___patience_s) && IS_NONE(near, near___encoder)
           && !IS_TRUE(near, near___mark) && IS_NONE(self->digits, digits___timestamp)
           && PyObject_Size(AT(self->sender, sender___digits)) == 0 && PyObject_Size(AT(self->reorder, reorder___held)) == 0
           && !IS_TRUE(playout, playout__sends_ahead) && PyObject_Size(AT(playout, playout___frames)) == 0
           && PyBytes_GET_SIZE(AT(playout, playout___carry)) == 0 && REAL(playout, playout___flushed_at) == 0
           && IS_NONE(playout, playout___dry_since) && WHOLE(playout, playout___target) == 1
           && WHOLE(playout, playout___ticks) == 0
           && !IS_TRUE(AT(playout, playout___mender), mender__is_open);
}

/* Is there anything to be looked after, beside the frame? What the Python path asks once in a frame, as far as it is
 * not known to be nothing: reports that are due, silence to be filled in, a caller who has fallen silent, and the end
 * of an agent's last words when there is no far end any more. */
static int must_attend(Step *self, double now)
{
    PyObject *uplink = self->uplink;
    return self->far == Py_None || now >= self->attend_at || now - REAL(self->near, near___last_heard) > HOLD_OFF_MS / 1000
           || WHOLE(uplink, uplink___filling) != 0
           || (double)behind(uplink, now) * 1000 >= HOLD_OFF_MS * REAL(uplink, uplink___rate_hz);
}

static int transmit(Step *self, const void *packet, Py_ssize_t size, PyObject *peer)
{
    if (peer != self->known_peer) {
        if (resolve(peer, &self->peer) < 0)
            return -1;
        Py_XSETREF(self->known_peer, Py_NewRef(peer));
    }
    return sendto(self->fd, packet, (size_t)size, MSG_DONTWAIT, (struct sockaddr *)&self->peer, sizeof self->peer) < 0
               ? -1 : 0;
}

/* NearEnd.tick of one frame whose payload is its line form. 0, or -1 and an error. */
static int leave(Step *self, PyObject *frame, double now)
{
    PyObject *near = self->near, *tally = self->tally;
    Py_ssize_t size = PyBytes_GET_SIZE(frame);
    uint8_t packet[HEADER + MAX_LINE];
    unsigned sequence = (unsigned)WHOLE(near, near___sequence);
    uint32_t timestamp = (uint32_t)WHOLE(near, near___timestamp);
    serialize(packet, self->payload_type, sequence, timestamp, (uint32_t)WHOLE(near, near__ssrc));
    memcpy(packet + HEADER, PyBytes_AS_STRING(frame), (size_t)size);
    if (transmit(self, packet, HEADER + size, self->known_locked) < 0)
        PUT_WHOLE(tally, tally__send_errors, WHOLE(tally, tally__send_errors) + 1);
    sequence = (sequence + 1) & 0xFFFF;
    PUT_WHOLE(near, near___sequence, sequence);
    PUT_WHOLE(near, near___timestamp, (uint32_t)(timestamp + (uint32_t)WHOLE(near, near___step)));
    PUT_WHOLE(near, near___octets, WHOLE(near, near___octets) + size);
    PUT_WHOLE(near, near__sent, WHOLE(near, near__sent) + 1);
    if (frame != AT(near, near___silence) && (sequence % STRIDE == 0 || is_awaited(self))
        && judge_agent(self, frame, now) < 0)
        return -1;
    return IS_NONE(near, near__on_air) ? 0 : call(AT(near, near__on_air), frame);
}

/* The ordinary frame: 1 it has left, 0 it is the Python path's (nothing was changed), -1 an error. */
static int take_down(Step *self, PyObject *data, double now)
{
    PyObject *near = self->near, *playout = self->playout, *mender;
    if (!may_pass(self, now))
        return PyErr_Occurred() ? -1 : 0;
    Py_ssize_t size = PyBytes_GET_SIZE(AT(near, near___silence));
    Py_ssize_t width = PyBytes_GET_SIZE(self->down_table) == 65536 ? 2 : 1;
    if (PyBytes_GET_SIZE(data) != size * width || size > MAX_LINE)
        return 0;
    PyObject *frame = converted(self->down_table, data);
    if (frame == NULL)
        return -1;
    PyObject *tally = self->tally;
    double due_at = REAL(self->pacer, pacer__due_at), early = due_at - now, waited = now + early - now;
    PUT_WHOLE(tally, tally__down_bytes, WHOLE(tally, tally__down_bytes) + PyBytes_GET_SIZE(data));
    mender = AT(playout, playout___mender);
    PUT_WHOLE(playout, playout___pushed, WHOLE(playout, playout___pushed) + size);
    PUT_REAL(playout, playout__waited, waited);
    PUT_REAL(playout, playout__missed_by, -1.0);
    PUT_WHOLE(playout, playout__played_ms, WHOLE(playout, playout__played_ms) + WHOLE(playout, playout___ptime_ms));
    PUT(mender, mender__before, AT(mender, mender__last));
    PUT(mender, mender__last, frame);
    if (add(AT(playout, playout__down), 0.0) < 0 || leave(self, frame, now) < 0
        || advance(self->pacer, due_at, waited) < 0)
        goto end;
    PUT(self->bell, bell__at, AT(self->pacer, pacer__due_at));
    if (must_attend(self, now))
        call_seconds(self->attend, now);
end:
    Py_DECREF(frame);
    return PyErr_Occurred() ? -1 : 1;
}

/* tick(now, early) -> bool: one frame is due, or early. The queue decides which, in Python; the rest is done here, and
 * `attend` asked where it may have something to do. False: nothing has been done. */
static PyObject *tick(Step *self, PyObject *args)
{
    double now, early;
    if (!PyArg_ParseTuple(args, "dd", &now, &early))
        return NULL;
    PyObject *near = self->near;
    if (near == NULL || self->playout == Py_None || !agreed(self) || !self->receives || !IS_NONE(near, near___encoder)
        || IS_TRUE(near, near___mark) || !IS_NONE(self->digits, digits___timestamp)
        || PyObject_Size(AT(self->sender, sender___digits)) != 0)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    PyObject *frame = PyObject_CallMethodObjArgs(self->playout, s_next, PyTuple_GET_ITEM(args, 0),
                                                 PyTuple_GET_ITEM(args, 1), NULL);
    if (frame == NULL)
        return NULL;
    if (frame == Py_None)
        Py_SETREF(frame, Py_NewRef(AT(near, near___silence)));
    if (PyBytes_GET_SIZE(frame) > MAX_LINE)
        PyErr_Format(PyExc_ValueError, "a frame of %zd bytes", PyBytes_GET_SIZE(frame));
    int done = PyErr_Occurred() ? -1 : leave(self, frame, now);
    if (done == 0 && (PyObject_Size(AT(self->reorder, reorder___held)) != 0 || must_attend(self, now)))
        done = call_seconds(self->attend, now);
    Py_DECREF(frame);
    return done < 0 || PyErr_Occurred() ? NULL : Py_NewRef(Py_True);
}

/* --- methods ----------------------------------------------------------------------------------------------------- */

/* A bug of ours: told to the call, which ends; the loop hears nothing of it. */
static PyObject *broken(Step *self)
{
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL)
        PyException_SetTraceback(error, trace);
    PyObject *done = PyObject_CallOneArg(self->broke, error ? error : Py_None);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return done;
}

static PyObject *readable(Step *self, PyObject *unused)
{
    (void)unused;
    if (self->near == NULL)
        Py_RETURN_NONE;
    static uint8_t data[MAX_DATAGRAM]; /* the interpreter lock is held throughout */
    struct sockaddr_in source;
    socklen_t length = sizeof source;
    ssize_t size = recvfrom(self->fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&source, &length);
    if (size < 0) /* nothing there after all, or an ICMP error of an earlier send; the next read will work */
        Py_RETURN_NONE;
    double now = monotonic();
    int taken = take_up(self, data, size, &source, now);
    if (taken == 1)
        taken = add(AT(self->tally, tally__up), monotonic() - now) < 0 ? -1 : 1;
    if (taken < 0)
        return broken(self);
    if (taken == 1)
        Py_RETURN_NONE;
    char host[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &source.sin_addr, host, sizeof host);
    PyObject *done = PyObject_CallFunction(self->receive, "y#(si)d", (const char *)data, (Py_ssize_t)size, host,
                                           (int)ntohs(source.sin_port), now);
    return done ? done : broken(self);
}

static PyObject *audio(Step *self, PyObject *data)
{
    if (self->near == NULL)
        Py_RETURN_NONE;
    int taken = PyBytes_CheckExact(data) ? take_down(self, data, monotonic()) : 0;
    if (taken < 0)
        return broken(self);
    if (taken == 1)
        Py_RETURN_NONE;
    return PyObject_CallOneArg(self->hear, data);
}

/* offer_up(data, source, now) and offer_down(data, now) -> bool: the same with the clock as an argument; whether the
 * packet was ordinary. What is not must be given to the Python path. */
static PyObject *offer_up(Step *self, PyObject *args)
{
    const char *data;
    Py_ssize_t size;
    PyObject *source;
    double now;
    struct sockaddr_in from;
    if (!PyArg_ParseTuple(args, "y#Od", &data, &size, &source, &now))
        return NULL;
    if (resolve(source, &from) < 0)
        Py_RETURN_FALSE;
    int taken = take_up(self, (const uint8_t *)data, size, &from, now);
    return taken < 0 ? NULL : PyBool_FromLong(taken);
}

static PyObject *offer_down(Step *self, PyObject *args)
{
    PyObject *data;
    double now;
    if (!PyArg_ParseTuple(args, "Sd", &data, &now))
        return NULL;
    int taken = take_down(self, data, now);
    return taken < 0 ? NULL : PyBool_FromLong(taken);
}

/* send(packet, (host, port)): raises OSError. */
static PyObject *send_packet(Step *self, PyObject *args)
{
    const char *packet;
    Py_ssize_t size;
    PyObject *peer;
    if (!PyArg_ParseTuple(args, "y#O", &packet, &size, &peer))
        return NULL;
    errno = EADDRNOTAVAIL; /* an address that is none */
    if (transmit(self, packet, size, peer) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

#define OBJECTS(X)                                                                                                    \
    X(near) X(reception) X(reorder) X(uplink) X(mender) X(turns) X(sender) X(digits) X(tally) X(receive) X(hear)      \
    X(attend) X(broke) X(far) X(tap) X(playout) X(pacer) X(bell) X(up_table) X(down_table) X(known_spec)              \
    X(known_locked) X(known_peer) X(known_quiet)

static int init(Step *self, PyObject *args, PyObject *names)
{
    static char *words[] = {"fd", "near", "tally", "receive", "hear", "attend", "broke", NULL};
    PyObject *near, *tally, *receive, *hear, *attend, *broke;
    if (!PyArg_ParseTupleAndKeywords(args, names, "iOOOOOO", words, &self->fd, &near, &tally, &receive, &hear, &attend,
                                     &broke))
        return -1;
#define TAKE(name) Py_XSETREF(self->name, Py_NewRef(name));
    TAKE(near) TAKE(tally) TAKE(receive) TAKE(hear) TAKE(attend) TAKE(broke)
#undef TAKE
#define PART(name, attribute) Py_XSETREF(self->name, PyObject_GetAttrString(near, attribute));
    PART(reception, "reception") PART(reorder, "_reorder") PART(uplink, "uplink") PART(mender, "mender")
    PART(turns, "turns") PART(sender, "sender") PART(digits, "digits")
#undef PART
#define UNSET(name) Py_XSETREF(self->name, Py_NewRef(Py_None));
    UNSET(far) UNSET(tap) UNSET(playout) UNSET(pacer) UNSET(bell) UNSET(up_table) UNSET(down_table)
#undef UNSET
    return PyErr_Occurred() ? -1 : 0;
}

static int traverse(Step *self, visitproc visit, void *arg)
{
#define VISIT(name) Py_VISIT(self->name);
    OBJECTS(VISIT)
#undef VISIT
    return 0;
}

static int clear(Step *self)
{
#define CLEAR(name) Py_CLEAR(self->name);
    OBJECTS(CLEAR)
#undef CLEAR
    return 0;
}

static PyObject *close_step(Step *self, PyObject *unused)
{
    (void)unused;
    clear(self);
    Py_RETURN_NONE;
}

static void dealloc(Step *self)
{
    PyObject_GC_UnTrack(self);
    clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef methods[] = {
    {"readable", (PyCFunction)readable, METH_NOARGS, "A datagram is waiting on the RTP socket."},
    {"audio", (PyCFunction)audio, METH_O, "The agent's voice has come."},
    {"offer_up", (PyCFunction)offer_up, METH_VARARGS, "offer_up(data, source, now) -> whether it was ordinary."},
    {"offer_down", (PyCFunction)offer_down, METH_VARARGS, "offer_down(data, now) -> whether it was ordinary."},
    {"tick", (PyCFunction)tick, METH_VARARGS, "tick(now, early) -> whether it was done."},
    {"send", (PyCFunction)send_packet, METH_VARARGS, "send(packet, address). Raises OSError."},
    {"close", (PyCFunction)close_step, METH_NOARGS, "Let go of the call. Nothing happens after that."},
    {NULL, NULL, 0, NULL},
};

#define MEMBER(name) {#name, T_OBJECT_EX, offsetof(Step, name), 0, NULL}
static PyMemberDef members[] = {
    MEMBER(turns), MEMBER(far), MEMBER(tap), MEMBER(playout), MEMBER(pacer), MEMBER(bell), MEMBER(up_table), MEMBER(down_table),
    {"attend_at", T_DOUBLE, offsetof(Step, attend_at), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject StepType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "media.native.Step",
    .tp_doc = "One call's packet step; see media.step for what it is given.",
    .tp_basicsize = sizeof(Step),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)init,
    .tp_traverse = (traverseproc)traverse,
    .tp_clear = (inquiry)clear,
    .tp_dealloc = (destructor)dealloc,
    .tp_methods = methods,
    .tp_members = members,
};

static PyMethodDef functions[] = {
    {"learn", learn, METH_O, "learn({owner: class}): where each class keeps its slots. Once, before any Step."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "step", .m_size = -1, .m_methods = functions};

PyMODINIT_FUNC PyInit_step(void)
{
    PyObject *size = PyLong_FromLong(PACKETS_SEEN), *above;
    s_direct = PyUnicode_InternFromString("direct");
    s_caller = PyUnicode_InternFromString("caller");
    s_agent = PyUnicode_InternFromString("agent");
    s_due = PyUnicode_InternFromString("due");
    s_settle = PyUnicode_InternFromString("_settle");
    s_next = PyUnicode_InternFromString("next");
    s_payload_type = PyUnicode_InternFromString("payload_type");
    s_receives = PyUnicode_InternFromString("receives");
    ONE = PyLong_FromLong(1);
    above = size && ONE ? PyNumber_Lshift(ONE, size) : NULL;
    MASK = above ? PyNumber_Subtract(above, ONE) : NULL;
    FULL = MASK;
    Py_XDECREF(size);
    Py_XDECREF(above);
    PyObject *module = MASK && PyType_Ready(&StepType) == 0 ? PyModule_Create(&definition) : NULL;
    if (module != NULL && (PyModule_AddObjectRef(module, "Step", (PyObject *)&StepType) < 0
                           || PyModule_AddStringConstant(module, "SOURCE", SOURCE) < 0))
        Py_CLEAR(module);
    return module;
}
