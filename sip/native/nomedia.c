/*
 * The media engine that is not there.
 *
 * With PJSUA_MEDIA_HAS_PJMEDIA=0 ("third party media") PJSUA negotiates SDP and leaves the audio to somebody else, who
 * has to supply the functions below. Ours create no stream, no conference bridge, no sound device and no RTP: the
 * media workers do that, in other processes.
 */
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#if PJSUA_MEDIA_HAS_PJMEDIA
#error "build pjproject with PJSUA_MEDIA_HAS_PJMEDIA=0"
#endif

/* ---- codecs in name only: what PJSUA may write into an SDP of its own ------------------------------------------ */

static struct codec
{
    char *name;
    pj_uint8_t pt;
    unsigned clock_rate_hz, channels;
    pj_uint16_t ptime_ms;
    unsigned bits_per_second;
} codecs[] = {
    {"PCMU", 0, 8000, 1, 20, 64000},      {"PCMA", 8, 8000, 1, 20, 64000},      {"G722", 9, 16000, 1, 20, 64000},
    {"G729", 18, 8000, 1, 10, 8000},      {"opus", 111, 48000, 2, 20, 64000},   {"AMR", 112, 8000, 1, 20, 12200},
    {"AMR-WB", 113, 16000, 1, 20, 23850}, {"L16", 114, 8000, 1, 20, 128000},    {"L16", 115, 16000, 1, 20, 256000},
};

static const struct codec *find_codec(const pjmedia_codec_info *id)
{
    unsigned i;

    for (i = 0; i < PJ_ARRAY_SIZE(codecs); ++i) {
        if (pj_stricmp2(&id->encoding_name, codecs[i].name) == 0 && codecs[i].clock_rate_hz == id->clock_rate)
            return &codecs[i];
    }
    return NULL;
}

static pj_status_t test_alloc(pjmedia_codec_factory *factory, const pjmedia_codec_info *id)
{
    PJ_UNUSED_ARG(factory);
    return find_codec(id) ? PJ_SUCCESS : PJMEDIA_CODEC_EUNSUP;
}

static pj_status_t default_attr(pjmedia_codec_factory *factory, const pjmedia_codec_info *id, pjmedia_codec_param *out)
{
    const struct codec *codec = find_codec(id);

    PJ_UNUSED_ARG(factory);
    if (!codec)
        return PJMEDIA_CODEC_EUNSUP;
    pj_bzero(out, sizeof(*out));
    out->info.clock_rate = codec->clock_rate_hz;
    out->info.channel_cnt = codec->channels;
    out->info.avg_bps = out->info.max_bps = codec->bits_per_second;
    out->info.pcm_bits_per_sample = 16;
    out->info.frm_ptime = codec->ptime_ms;
    out->info.pt = codec->pt;
    out->setting.frm_per_pkt = 1;
    return PJ_SUCCESS;
}

static pj_status_t enum_codecs(pjmedia_codec_factory *factory, unsigned *count, pjmedia_codec_info out[])
{
    unsigned i;

    PJ_UNUSED_ARG(factory);
    for (i = 0; i < *count && i < PJ_ARRAY_SIZE(codecs); ++i) {
        pj_bzero(&out[i], sizeof(out[i]));
        out[i].type = PJMEDIA_TYPE_AUDIO;
        out[i].encoding_name = pj_str(codecs[i].name);
        out[i].pt = codecs[i].pt;
        out[i].clock_rate = codecs[i].clock_rate_hz;
        out[i].channel_cnt = codecs[i].channels;
    }
    *count = i;
    return PJ_SUCCESS;
}

static pj_status_t alloc_codec(pjmedia_codec_factory *factory, const pjmedia_codec_info *id, pjmedia_codec **codec)
{
    PJ_UNUSED_ARG(factory);
    PJ_UNUSED_ARG(id);
    PJ_UNUSED_ARG(codec);
    return PJ_ENOTSUP;
}

static pj_status_t dealloc_codec(pjmedia_codec_factory *factory, pjmedia_codec *codec)
{
    PJ_UNUSED_ARG(factory);
    PJ_UNUSED_ARG(codec);
    return PJ_ENOTSUP;
}

static pj_status_t destroy_factory(void)
{
    return PJ_SUCCESS;
}

static pjmedia_codec_factory_op factory_op = {&test_alloc,  &default_attr,  &enum_codecs,
                                              &alloc_codec, &dealloc_codec, &destroy_factory};
static pjmedia_codec_factory factory;

/*
 * PJSUA tries the offer against the codecs above and refuses the call with 488 when none fits, before the application
 * hears of it. Which codecs we speak is not PJSUA's to know: the link (--wrap) leads its check through here, where the
 * local SDP is taken out of it. The rest of the check (Contact, Require, SDP syntax) stays. The application's own
 * answer is negotiated all the same when it is given.
 */
pj_status_t __real_pjsip_inv_verify_request3(pjsip_rx_data *rdata, pj_pool_t *tmp_pool, unsigned *options,
                                             const pjmedia_sdp_session *offer, const pjmedia_sdp_session *answer,
                                             pjsip_dialog *dlg, pjsip_endpoint *endpt, pjsip_tx_data **tdata);

pj_status_t __wrap_pjsip_inv_verify_request3(pjsip_rx_data *rdata, pj_pool_t *tmp_pool, unsigned *options,
                                             const pjmedia_sdp_session *offer, const pjmedia_sdp_session *answer,
                                             pjsip_dialog *dlg, pjsip_endpoint *endpt, pjsip_tx_data **tdata)
{
    PJ_UNUSED_ARG(answer);
    return __real_pjsip_inv_verify_request3(rdata, tmp_pool, options, offer, NULL, dlg, endpt, tdata);
}

/* ---- what PJSUA calls ------------------------------------------------------------------------------------------ */

#ifdef __GNUC__
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif

pj_status_t pjsua_aud_subsys_init(void)
{
    pj_status_t status = PJ_SUCCESS;

    /* Made here first, and without a thread of its own, else PJSUA makes one that has a thread. */
    if (!pjmedia_event_mgr_instance())
        status = pjmedia_event_mgr_create(pjsua_var.pool, PJMEDIA_EVENT_MGR_NO_THREAD, NULL);
    if (status != PJ_SUCCESS)
        return status;
    pj_bzero(&factory, sizeof(factory));
    factory.op = &factory_op;
    return pjmedia_codec_mgr_register_factory(pjmedia_endpt_get_codec_mgr(pjsua_var.med_endpt), &factory);
}

pj_status_t pjsua_aud_subsys_start(void) { return PJ_SUCCESS; }
pj_status_t pjsua_aud_subsys_destroy(void) { return PJ_SUCCESS; }
void pjsua_aud_stop_stream(pjsua_call_media *m) {}
void pjsua_txt_stop_stream(pjsua_call_media *m) {}
void pjsua_check_snd_dev_idle(void) {}

pj_status_t pjsua_aud_channel_update(pjsua_call_media *m, pj_pool_t *pool, pjmedia_stream_info *si,
                                     const pjmedia_sdp_session *local, const pjmedia_sdp_session *remote)
{
    return PJ_SUCCESS;
}

pj_status_t pjsua_txt_channel_update(pjsua_call_media *m, pj_pool_t *pool, pjmedia_txt_stream_info *si,
                                     const pjmedia_sdp_session *local, const pjmedia_sdp_session *remote)
{
    return PJ_SUCCESS;
}

PJ_DEF(pj_bool_t) pjsua_call_has_media(pjsua_call_id id)
{
    const pjsua_call *call = &pjsua_var.calls[id];

    return call->audio_idx >= 0 && call->media[call->audio_idx].tp != NULL;
}

/* ---- PJSUA's audio API: nothing to be had here ------------------------------------------------------------------ */

#define UNSUPPORTED(prototype) \
    PJ_DEF(pj_status_t) prototype { return PJ_ENOTSUP; }

UNSUPPORTED(pjsua_call_aud_stream_modify_codec_param(pjsua_call_id c, int i, const pjmedia_codec_param *p))
UNSUPPORTED(pjsua_call_get_stream_info(pjsua_call_id c, unsigned i, pjsua_stream_info *s))
UNSUPPORTED(pjsua_call_get_stream_stat(pjsua_call_id c, unsigned i, pjsua_stream_stat *s))
UNSUPPORTED(pjsua_call_dial_dtmf(pjsua_call_id c, const pj_str_t *d))
UNSUPPORTED(pjsua_call_dial_dtmf2(pjsua_call_id c, const pj_str_t *d, unsigned ms))
UNSUPPORTED(pjsua_call_send_text(pjsua_call_id c, const pjsua_call_send_text_param *p))
UNSUPPORTED(pjsua_conf_add_port(pj_pool_t *p, pjmedia_port *port, pjsua_conf_port_id *id))
UNSUPPORTED(pjsua_conf_remove_port(pjsua_conf_port_id id))
UNSUPPORTED(pjsua_conf_connect(pjsua_conf_port_id a, pjsua_conf_port_id b))
UNSUPPORTED(pjsua_conf_connect2(pjsua_conf_port_id a, pjsua_conf_port_id b, const pjsua_conf_connect_param *p))
UNSUPPORTED(pjsua_conf_disconnect(pjsua_conf_port_id a, pjsua_conf_port_id b))
UNSUPPORTED(pjsua_conf_adjust_tx_level(pjsua_conf_port_id s, float l))
UNSUPPORTED(pjsua_conf_adjust_rx_level(pjsua_conf_port_id s, float l))
UNSUPPORTED(pjsua_conf_get_signal_level(pjsua_conf_port_id s, unsigned *t, unsigned *r))
UNSUPPORTED(pjsua_conf_get_port_info(pjsua_conf_port_id id, pjsua_conf_port_info *i))
UNSUPPORTED(pjsua_player_create(const pj_str_t *f, unsigned o, pjsua_player_id *id))
UNSUPPORTED(pjsua_playlist_create(const pj_str_t f[], unsigned n, const pj_str_t *l, unsigned o, pjsua_player_id *id))
UNSUPPORTED(pjsua_player_get_port(pjsua_player_id id, pjmedia_port **p))
UNSUPPORTED(pjsua_player_get_info(pjsua_player_id id, pjmedia_wav_player_info *i))
UNSUPPORTED(pjsua_player_set_pos(pjsua_player_id id, pj_uint32_t s))
UNSUPPORTED(pjsua_player_destroy(pjsua_player_id id))
UNSUPPORTED(pjsua_recorder_create(const pj_str_t *f, unsigned e, void *p, pj_ssize_t m, unsigned o,
                                  pjsua_recorder_id *id))
UNSUPPORTED(pjsua_recorder_destroy(pjsua_recorder_id id))
UNSUPPORTED(pjsua_set_ec(unsigned t, unsigned o))
UNSUPPORTED(pjsua_get_ec_tail(unsigned *t))
UNSUPPORTED(pjsua_get_snd_dev(int *c, int *p))
UNSUPPORTED(pjsua_get_snd_dev2(pjsua_snd_dev_param *p))
UNSUPPORTED(pjsua_snd_set_setting(pjmedia_aud_dev_cap cap, const void *v, pj_bool_t k))
UNSUPPORTED(pjsua_snd_get_setting(pjmedia_aud_dev_cap cap, void *v))
UNSUPPORTED(pjsua_ext_snd_dev_create(pjmedia_snd_port_param *p, pjsua_ext_snd_dev **s))
UNSUPPORTED(pjsua_ext_snd_dev_destroy(pjsua_ext_snd_dev *s))
PJ_DEF(pj_status_t) pjsua_set_snd_dev(int c, int p) { return PJ_SUCCESS; }
PJ_DEF(pj_status_t) pjsua_set_snd_dev2(const pjsua_snd_dev_param *p) { return PJ_SUCCESS; }
PJ_DEF(pj_status_t) pjsua_set_null_snd_dev(void) { return PJ_SUCCESS; }
PJ_DEF(pjmedia_port*) pjsua_set_no_snd_dev(void) { return NULL; }
PJ_DEF(pj_bool_t) pjsua_snd_is_active(void) { return PJ_FALSE; }
PJ_DEF(void) pjsua_snd_dev_param_default(pjsua_snd_dev_param *p) { pj_bzero(p, sizeof(*p)); }
PJ_DEF(void) pjsua_conf_connect_param_default(pjsua_conf_connect_param *p) { pj_bzero(p, sizeof(*p)); p->level = 1.0f; }
PJ_DEF(unsigned) pjsua_conf_get_max_ports(void) { return 0; }
PJ_DEF(unsigned) pjsua_conf_get_active_ports(void) { return 0; }
PJ_DEF(pj_status_t) pjsua_enum_conf_ports(pjsua_conf_port_id id[], unsigned *n) { *n = 0; return PJ_SUCCESS; }
PJ_DEF(pj_status_t) pjsua_enum_aud_devs(pjmedia_aud_dev_info info[], unsigned *n) { *n = 0; return PJ_SUCCESS; }
PJ_DEF(pj_ssize_t) pjsua_player_get_pos(pjsua_player_id id) { return -1; }
PJ_DEF(pjsua_conf_port_id) pjsua_player_get_conf_port(pjsua_player_id id) { return PJSUA_INVALID_ID; }
PJ_DEF(pjsua_conf_port_id) pjsua_recorder_get_conf_port(pjsua_recorder_id id) { return PJSUA_INVALID_ID; }
PJ_DEF(pjsua_conf_port_id) pjsua_ext_snd_dev_get_conf_port(pjsua_ext_snd_dev *s) { return PJSUA_INVALID_ID; }

