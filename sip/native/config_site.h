/*
 * PJSIP as a signalling engine: no media engine, epoll, many calls.
 *
 * `make` in the PJSIP tree does not notice a change of this file; the build script starts from a fresh tree.
 */

/* Without NDEBUG a PJSIP call from a thread that PJLIB does not know aborts the whole process. */
#define NDEBUG 1
#define PJ_DEBUG 0
#define PJ_ENABLE_EXTRA_CHECK 1
#define PJ_TODO(x)
#define PJ_LOG_MAX_LEVEL 5

#define PJ_HAS_IPV6 1
#define PJ_MAX_HOSTNAME 256
#define PJ_IOQUEUE_MAX_HANDLES 4096
#define PJ_IOQUEUE_MAX_EVENTS_IN_SINGLE_POLL 64

/* "Third party media": PJSUA calls pjsua_aud_*(), which nomedia.c supplies. */
#define PJSUA_MEDIA_HAS_PJMEDIA 0
#define PJSUA_MAX_CALLS 2048
#define PJSUA_MAX_ACC 2048
#define PJSUA_MAX_BUDDIES 16
#define PJSUA_MAX_CONF_PORTS 4
#define PJSUA_MAX_PLAYERS 1
#define PJSUA_MAX_RECORDERS 1

#define PJSIP_MAX_TSX_COUNT ((32 * 1024) - 1)
#define PJSIP_MAX_DIALOG_COUNT ((8 * 1024) - 1)
#define PJSIP_MAX_URL_SIZE 512
#define PJSIP_MAX_PKT_LEN 8000
#define PJSIP_UDP_SO_RCVBUF_SIZE (4 * 1024 * 1024)
#define PJSIP_UDP_SO_SNDBUF_SIZE (1024 * 1024)
#define PJSIP_MAX_TRANSPORTS 1024

#define PJMEDIA_HAS_VIDEO 0
#define PJMEDIA_HAS_SRTP 0
#define PJMEDIA_MAX_SDP_MEDIA 8
#define PJMEDIA_MAX_SDP_FMT 48
#define PJMEDIA_MAX_SDP_ATTR 128
#define PJMEDIA_RESAMPLE_IMP PJMEDIA_RESAMPLE_NONE
#define PJMEDIA_HAS_G711_CODEC 0
#define PJMEDIA_HAS_G722_CODEC 0
#define PJMEDIA_HAS_SPEEX_AEC 0
