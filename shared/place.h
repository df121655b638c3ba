/*
 * What may be told of a URL: everything but a password, of which servers' logs and
 * terminals' histories are full.
 */
#ifndef PLACE_H
#define PLACE_H

#include <stddef.h>

/* HOST/PATH: the URL without its scheme, and without the credentials that may stand in
   front of its host. The result points into the URL. */
const char *place_of(const char *url);

/* How many bytes of the URL stand in front of its host and its credentials: the scheme,
   and the slashes, of which libcurl accepts one to three. */
size_t scheme_length(const char *url);

#endif
