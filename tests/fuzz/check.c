#include "check.h"

#include "charset.h"

#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

void check(bool is_true, const char *sentence)
{
    if (is_true)
        return;
    fprintf(stderr, "not true: %s\n", sentence);
    abort();
}

static bool is_between(ucs4_t first, ucs4_t character, ucs4_t last)
{
    return first <= character && character <= last;
}

static bool is_control(ucs4_t character)
{
    return character < ' ' || is_between(0x7F, character, 0x9F);
}

static bool turns_direction(ucs4_t character)
{
    return character == 0x061C || is_between(0x200E, character, 0x200F) ||
           is_between(0x202A, character, 0x202E) || is_between(0x2066, character, 0x2069);
}

void check_tidy(const char *text)
{
    size_t length = strlen(text);
    check(u8_check((const uint8_t *)text, length) == NULL, "tidy text is UTF-8");
    check(text[0] != ' ' && (length == 0 || text[length - 1] != ' ') &&
              strstr(text, "  ") == NULL,
          "tidy text has single spaces, and none at its ends");

    ucs4_t character;
    for (const uint8_t *next = (const uint8_t *)text;
         (next = u8_next(&character, next));) {
        check(!is_control(character), "tidy text has no control character");
        check(!turns_direction(character), "tidy text turns no direction round");
        check(!is_between(0x2028, character, 0x2029), "tidy text is one line");
    }
}

void keep_charset(const char *label)
{
    static iconv_t kept[64]; /* where LeakSanitizer sees them */
    static size_t count;
    check(count < sizeof(kept) / sizeof(kept[0]), "there is room for the set");
    kept[count] = iconv_open("UTF-8", charset_from_label(label, strlen(label)));
    check(kept[count++] != (iconv_t)-1, "the system knows the character set");
}
