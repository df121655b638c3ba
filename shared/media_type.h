/*
 * What a Content-Type header says, as browsers read it: the MIME Sniffing Standard
 * (https://mimesniff.spec.whatwg.org/#parsing-a-mime-type) has the rules for one value,
 * the Fetch Standard (https://fetch.spec.whatwg.org/#concept-header-extract-mime-type)
 * those for several.
 */
#ifndef MEDIA_TYPE_H
#define MEDIA_TYPE_H

/* What is longer is cut: no type and no character set that anybody knows is so long. */
struct media_type {
    char essence[128]; /* "text/html", in lower case; "" if there is none that counts */
    char charset[64];  /* the value of the parameter of that name; "" without one */
};

/* Reads the header; several lines of one are joined by commas. */
struct media_type media_type_from_header(const char *content_type);

#endif
