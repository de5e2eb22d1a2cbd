/*
 * Whether a certificate can be shown to anybody: asked before the stack starts, because it would say only that it can't.
 */
#ifndef PUENTE_CERTIFICATE_H
#define PUENTE_CERTIFICATE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What is wrong with the PEM files of a certificate and its key, or of certificate authorities (`key` empty), in words
 * that follow the file's name. Empty: nothing.
 */
void puente_examine_certificate(const char *certificate, const char *key, char *out, size_t size);

#ifdef __cplusplus
}
#endif

#endif
