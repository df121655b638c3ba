#include "place.h"

#include <stdbool.h>
#include <string.h>

size_t scheme_length(const char *url)
{
    size_t colon = strcspn(url, ":/?#");
    size_t slashes = url[colon] == ':' ? colon + 1 : 0;
    size_t count = strspn(url + slashes, "/");
    return count == 0 ? 0 : slashes + count;
}

/* Whether a colon is followed by what is no port: then it may be a password, of a URL
   that somebody has mistyped. (In brackets stands an IPv6 address.) */
static bool has_odd_port(const char *host, size_t length)
{
    const char *bracket = memchr(host, ']', length);
    const char *start = bracket == NULL ? host : bracket;
    const char *colon = memchr(start, ':', length - (size_t)(start - host));
    return colon != NULL &&
           strspn(colon + 1, "0123456789") < length - (size_t)(colon + 1 - host);
}

const char *place_of(const char *url)
{
    const char *host = url + scheme_length(url);
    size_t host_length = strcspn(host, "/?#");
    const char *credentials_end = memrchr(host, '@', host_length);
    if (credentials_end == NULL && has_odd_port(host, host_length))
        credentials_end = strrchr(host, '@');
    return credentials_end == NULL ? host : credentials_end + 1;
}
