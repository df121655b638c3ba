#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <unictype.h>
#include <unistr.h>

enum {
    ESCAPE = 0x1B,
    LAST_ASCII = 0x7F,
    REPLACEMENT = 0xFFFD,
    INCOMPLETE = -2,    /* what u8_mbtoucr returns for the beginning of a character */
    LONGEST_GROWTH = 3, /* a bad byte becomes the three bytes of U+FFFD */
};

static bool is_unsafe(ucs4_t character)
{
    return uc_is_general_category_withtable(character, UC_CATEGORY_MASK_Cc) ||
           uc_is_property(character, UC_PROPERTY_BIDI_CONTROL);
}

/*
 * Takes the next character off the bytes and returns how many it took. What is not UTF-8
 * is U+FFFD, and takes its maximal subpart: as many bytes as could have begun a
 * character.
 */
static size_t next_character(ucs4_t *character, const char *bytes, size_t length)
{
    const uint8_t *next = (const uint8_t *)bytes;
    int taken = u8_mbtoucr(character, next, length);
    if (taken > 0)
        return (size_t)taken;

    *character = REPLACEMENT;
    ucs4_t none;
    size_t subpart = 1;
    while (subpart < length && u8_mbtoucr(&none, next, subpart + 1) == INCOMPLETE)
        subpart++;
    return subpart;
}

static size_t append(char *text, size_t length, ucs4_t character)
{
    /* It cannot fail: next_character yields only what has a UTF-8 form, and there is room
       for the longest. */
    return length + (size_t)u8_uctomb((uint8_t *)text + length, character, 4);
}

char *text_tidy(const char *bytes, size_t length)
{
    char *tidy = malloc(LONGEST_GROWTH * length + 1);
    if (tidy == NULL)
        return NULL;

    size_t tidy_length = 0;
    bool space_is_due = false;
    for (size_t position = 0; position < length;) {
        ucs4_t character;
        position += next_character(&character, bytes + position, length - position);
        if (uc_is_property(character, UC_PROPERTY_WHITE_SPACE)) {
            space_is_due = tidy_length > 0;
        } else if (!is_unsafe(character)) {
            if (space_is_due)
                tidy[tidy_length++] = ' ';
            space_is_due = false;
            tidy_length = append(tidy, tidy_length, character);
        }
    }
    tidy[tidy_length] = '\0';
    return tidy;
}

char *text_repair(const char *bytes, size_t length, size_t *repaired_length)
{
    char *repaired = malloc(LONGEST_GROWTH * length + 1);
    if (repaired == NULL)
        return NULL;

    *repaired_length = 0;
    for (size_t position = 0; position < length;) {
        ucs4_t character;
        position += next_character(&character, bytes + position, length - position);
        *repaired_length = append(repaired, *repaired_length, character);
    }
    repaired[*repaired_length] = '\0';
    return repaired;
}

bool text_is_utf8(const char *bytes, size_t length)
{
    return u8_check((const uint8_t *)bytes, length) == NULL;
}

bool text_is_ascii(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)bytes[i] > LAST_ASCII || bytes[i] == ESCAPE)
            return false;
    }
    return true;
}
