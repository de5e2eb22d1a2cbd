#include "certificate.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void say_date(char *out, size_t size, const char *what, const ASN1_TIME *when)
{
    struct tm date;

    if (ASN1_TIME_to_tm(when, &date) == 1)
        snprintf(out, size, "%s %04d-%02d-%02d", what, date.tm_year + 1900, date.tm_mon + 1, date.tm_mday);
    else
        snprintf(out, size, "%s a date that can not be read", what);
}

void puente_examine_certificate(const char *certificate, const char *key, char *out, size_t size)
{
    FILE *file = fopen(certificate, "r");
    X509 *x509 = NULL;
    EVP_PKEY *secret = NULL;

    *out = '\0';
    if (!file) {
        snprintf(out, size, "can not be read: %s", strerror(errno));
        return;
    }
    x509 = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    if (!x509) {
        snprintf(out, size, "holds no certificate");
        return;
    }
    if (X509_cmp_current_time(X509_get0_notAfter(x509)) < 0)
        say_date(out, size, "has expired on", X509_get0_notAfter(x509));
    else if (X509_cmp_current_time(X509_get0_notBefore(x509)) > 0)
        say_date(out, size, "is not valid before", X509_get0_notBefore(x509));
    else if (*key && (file = fopen(key, "r")) == NULL)
        snprintf(out, size, "has a key that can not be read: %s", strerror(errno));
    else if (*key) {
        secret = PEM_read_PrivateKey(file, NULL, NULL, NULL);
        fclose(file);
        if (!secret)
            snprintf(out, size, "has a key file without a key");
        else if (X509_check_private_key(x509, secret) != 1)
            snprintf(out, size, "and its key do not belong together");
    }
    EVP_PKEY_free(secret);
    X509_free(x509);
}
