// libFuzzer: any bytes as a configuration file, and as a --set behind a first byte of 0. A configuration that
// is accepted must survive being written and read again.
#include "host/config/config.h"
#include "host/hebbes.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_file(const char *text, size_t size) {
    hb_config *config = calloc(1, sizeof *config), *again = calloc(1, sizeof *again);
    if (!config || !again) abort();
    hb_error error;
    if (hb_config_bind(config, "ant", "fuzz", &error) != HB_OK) abort();
    if (hb_config_parse(config, "fuzz", text, size, &error) == HB_OK && hb_config_resolve(config, &error) == HB_OK) {
        char *written = NULL;
        size_t length = 0;
        FILE *memory = open_memstream(&written, &length);
        if (!memory || hb_config_print(config, memory, &error) != HB_OK) abort();
        fclose(memory);
        // The environment's name is bound before a file is read and may be anything here.
        if (hb_config_bind(again, "ant", "fuzz", &error) != HB_OK) abort();
        if (hb_config_parse(again, "fuzz", written, length, &error) != HB_OK) abort();
        for (int32_t k = 0; k < config->n_entries; k++)
            if (strcmp(config->entry[k].value, again->entry[k].value) != 0) abort();
        free(written);
    }
    hb_config_close(config);
    hb_config_close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (!text) abort();
    memcpy(text, data, size);
    text[size] = '\0';
    if (size > 0 && text[0] == '\0') {
        const char *set = text + 1;
        hb_config *config;
        hb_error error;
        if (strncmp(set, "env.name", 8) != 0 && hb_config_open(NULL, &set, 1, &config, &error) == HB_OK)
            hb_config_close(config);
    } else {
        fuzz_file(text, size);
    }
    free(text);
    return 0;
}
