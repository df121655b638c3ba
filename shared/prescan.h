/*
 * What the first bytes of a page declare its character set to be, before it is parsed.
 *
 * The rules are the HTML standard's: "prescan a byte stream to determine its encoding"
 * (https://html.spec.whatwg.org/#prescan-a-byte-stream-to-determine-its-encoding) and
 * "get an XML encoding". A character set is as charset.h has it.
 */
#ifndef PRESCAN_H
#define PRESCAN_H

#include <stddef.h>

/* How much of a page is looked at. */
enum { PRESCAN_WITHIN = 1024 };

/*
 * The set that the first <meta charset> or <meta http-equiv="Content-Type"> names whose
 * set is known; NULL if there is none in the first PRESCAN_WITHIN bytes. What was found
 * in the beginning of a page is found in all of it too.
 */
const char *prescan_meta(const char *bytes, size_t length);

/* The set that an XML declaration names, which has to begin with the first byte; UTF-16
   if the declaration is in UTF-16; NULL if there is none. */
const char *prescan_xml_declaration(const char *bytes, size_t length);

#endif
