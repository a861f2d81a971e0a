// What reading YAML through libcyaml needs everywhere: how to ask, and what it said when it refused.
#ifndef HB_YAML_H
#define HB_YAML_H

#include "host/config/config.h"

#include <cyaml/cyaml.h>

// Its first message, and the innermost place of the backtrace; the outermost field is the section.
typedef struct {
    char message[HB_TEXT];
    char field[HB_TEXT], section[HB_TEXT];
    int line;
} hb_yaml_complaint;

// Settings for cyaml_load_data; what it complains of goes to *said, which starts as zero and must outlive the call.
cyaml_config_t hb_yaml_settings(hb_yaml_complaint *said);

#endif
