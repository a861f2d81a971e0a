#include "host/run/tensorboard.h"
#include "host/base/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct hb_events {
    FILE *file;
};

// CRC-32C (Castagnoli), bit by bit: a few hundred bytes a generation.
static uint32_t crc32c(const uint8_t *data, size_t n) {
    uint32_t crc = 0xffffffffu;
    for (size_t k = 0; k < n; k++) {
        crc ^= data[k];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static uint32_t masked(uint32_t crc) {
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

// ---------------------------------------------------------------------------------------------------
// Protocol-buffer wire format

// What does not fit is left out.
typedef struct {
    uint8_t data[16384];
    size_t n;
} message;

static void put_bytes(message *m, const void *data, size_t n) {
    if (n > sizeof m->data - m->n) return;
    memcpy(m->data + m->n, data, n);
    m->n += n;
}

static void put_varint(message *m, uint64_t value) {
    uint8_t bytes[10];
    size_t n = 0;
    for (; value >= 128; value >>= 7) bytes[n++] = (uint8_t)(value | 128);
    bytes[n++] = (uint8_t)value;
    put_bytes(m, bytes, n);
}

// Field number and wire type: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes.
static void put_key(message *m, unsigned field, unsigned type) {
    put_varint(m, field << 3 | type);
}

static void put_block(message *m, unsigned field, const void *data, size_t n) {
    put_key(m, field, 2);
    put_varint(m, n);
    put_bytes(m, data, n);
}

// Event { double wall_time = 1; int64 step = 2; ... }
static message start_event(int64_t step) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const double wall_time = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    message event = {.n = 0};
    put_key(&event, 1, 1);
    put_bytes(&event, &wall_time, sizeof wall_time);
    put_key(&event, 2, 0);
    put_varint(&event, (uint64_t)step);
    return event;
}

static hb_status write_record(hb_events *events, const message *event, hb_error *error) {
    const uint64_t length = event->n;
    const uint32_t length_crc = masked(crc32c((const uint8_t *)&length, sizeof length));
    const uint32_t crc = masked(crc32c(event->data, event->n));
    fwrite(&length, sizeof length, 1, events->file);
    fwrite(&length_crc, sizeof length_crc, 1, events->file);
    fwrite(event->data, event->n, 1, events->file);
    fwrite(&crc, sizeof crc, 1, events->file);
    if (ferror(events->file))
        return hb_fail(error, HB_FAILED, "TensorBoard events: cannot be written: %s", strerror(errno));
    return HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// Events

// Event.session_log = 7 { SessionLog.status = 1: START = 1 }: TensorBoard drops what earlier files hold from this step on, which is what
// a killed process wrote after its last checkpoint.
static hb_status write_restart(hb_events *events, int64_t step, hb_error *error) {
    message session = {.n = 0}, event = start_event(step);
    put_key(&session, 1, 0);
    put_varint(&session, 1);
    put_block(&event, 7, session.data, session.n);
    return write_record(events, &event, error);
}

hb_status hb_events_open(const char *folder, int64_t generation, hb_events **out, hb_error *error) {
    char name[96], path[HB_PATH];
    snprintf(name, sizeof name, "events.out.tfevents.%lld.%ld", (long long)time(NULL), (long)getpid());
    hb_path(path, folder, name);
    hb_events *events = calloc(1, sizeof *events);
    if (!events) return hb_fail(error, HB_FAILED, "out of memory opening the events");
    events->file = fopen(path, "ae");
    if (!events->file) {
        free(events);
        return hb_fail(error, HB_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    }
    *out = events;
    static const char version[] = "brain.Event:2"; // Event.file_version = 3, what TensorBoard asks of a first event
    message event = start_event(0);
    put_block(&event, 3, version, sizeof version - 1);
    hb_status status = write_record(events, &event, error);
    return status == HB_OK && generation > 0 ? write_restart(events, generation + 1, error) : status;
}

void hb_events_close(hb_events *events) {
    if (!events) return;
    fclose(events->file);
    free(events);
}

// Event.summary = 5 { Summary.value = 1 { Value.tag = 1; Value.simple_value = 2 } }
hb_status hb_events_add(hb_events *events, const char *tag, int64_t step, double value, hb_error *error) {
    message scalar = {.n = 0}, summary = {.n = 0}, event = start_event(step);
    const float simple = (float)value;
    const size_t length = strlen(tag);
    put_block(&scalar, 1, tag, length < 127 ? length : 127);
    put_key(&scalar, 2, 5);
    put_bytes(&scalar, &simple, sizeof simple);
    put_block(&summary, 1, scalar.data, scalar.n);
    put_block(&event, 5, summary.data, summary.n);
    return write_record(events, &event, error);
}

// SessionStartInfo.hparams = 1, a map { key = 1; value = 2 { number_value = 2; string_value = 3 } } (tensorboard/plugins/hparams).
static void put_setting(message *info, const hb_event_setting *setting) {
    message value = {.n = 0}, pair = {.n = 0};
    if (setting->text) {
        put_block(&value, 3, setting->text, strlen(setting->text));
    } else {
        put_key(&value, 2, 1);
        put_bytes(&value, &setting->number, sizeof setting->number);
    }
    put_block(&pair, 1, setting->name, strlen(setting->name));
    put_block(&pair, 2, value.data, value.n);
    put_block(info, 1, pair.data, pair.n);
}

// Value.metadata = 9 { plugin_data = 1 { plugin_name = 1; content = 2 { version = 1; session_start_info = 3 } } }
static void put_metadata(message *value, const message *info) {
    static const char plugin[] = "hparams";
    message content = {.n = 0}, data = {.n = 0}, metadata = {.n = 0};
    put_key(&content, 1, 0);
    put_varint(&content, 0);
    put_block(&content, 3, info->data, info->n);
    put_block(&data, 1, plugin, sizeof plugin - 1);
    put_block(&data, 2, content.data, content.n);
    put_block(&metadata, 1, data.data, data.n);
    put_block(value, 9, metadata.data, metadata.n);
}

// Value.tensor = 8: every value has one; a scalar 0, { dtype = 1: DT_FLOAT = 1; tensor_shape = 2; float_val = 5 }.
static void put_no_tensor(message *value) {
    const float zero = 0;
    message tensor = {.n = 0};
    put_key(&tensor, 1, 0);
    put_varint(&tensor, 1);
    put_block(&tensor, 2, "", 0);
    put_block(&tensor, 5, &zero, sizeof zero);
    put_block(value, 8, tensor.data, tensor.n);
}

hb_status hb_events_settings(hb_events *events, const hb_event_setting *setting, int n, hb_error *error) {
    static const char tag[] = "_hparams_/session_start_info";
    message info = {.n = 0}, value = {.n = 0}, summary = {.n = 0}, event = start_event(0);
    for (int k = 0; k < n; k++) put_setting(&info, &setting[k]);
    put_block(&value, 1, tag, sizeof tag - 1);
    put_no_tensor(&value);
    put_metadata(&value, &info);
    put_block(&summary, 1, value.data, value.n);
    put_block(&event, 5, summary.data, summary.n);
    return write_record(events, &event, error);
}

hb_status hb_events_flush(hb_events *events, hb_error *error) {
    if (fflush(events->file) == 0) return HB_OK;
    return hb_fail(error, HB_FAILED, "TensorBoard events: cannot be written: %s", strerror(errno));
}
