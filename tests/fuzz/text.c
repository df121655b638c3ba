/* text.h: any bytes to tidy text. */
#include "text.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

static void check_repaired(const char *bytes, size_t length)
{
    size_t repaired_length;
    char *repaired = text_repair(bytes, length, &repaired_length);
    check(text_is_utf8(repaired, repaired_length), "repaired text is UTF-8");
    if (text_is_utf8(bytes, length))
        check(repaired_length == length && memcmp(repaired, bytes, length) == 0,
              "UTF-8 needs no repair");
    free(repaired);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    check_repaired(bytes, size);
    char *tidy = text_tidy(bytes, size);
    check_tidy(tidy);
    char *again = text_tidy(tidy, strlen(tidy));
    check(strcmp(again, tidy) == 0, "tidy text stays as it is");
    free(again);
    free(tidy);
    return 0;
}
