#include "host/base/npz.h"
#include "host/base/files.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64, NAME = 96 }; // members; letters of a name

typedef struct {
    char name[NAME];
    uint32_t crc, size, offset;
} member;

struct hb_npz {
    char *data;
    size_t n;
    FILE *stream; // appends to data
    member members[MOST];
    int n_members;
    bool failed;
};

hb_npz *hb_npz_create(void) {
    hb_npz *npz = calloc(1, sizeof *npz);
    if (!npz) return NULL;
    npz->stream = open_memstream(&npz->data, &npz->n);
    if (npz->stream) return npz;
    free(npz);
    return NULL;
}

void hb_npz_close(hb_npz *npz) {
    if (!npz) return;
    if (npz->stream) fclose(npz->stream);
    free(npz->data);
    free(npz);
}

// ---------------------------------------------------------------------------------------------------
// ZIP (PKWARE's APPNOTE, 4.3): all numbers with the low end first

static void put(FILE *to, uint32_t value, int bytes) {
    for (int k = 0; k < bytes; k++) fputc((int)(value >> 8 * k & 255), to);
}

// CRC-32 as ISO 3309 has it, continued from `crc`.
static uint32_t crc32(uint32_t crc, const void *data, size_t n) {
    const uint8_t *byte = data;
    crc = ~crc;
    for (size_t k = 0; k < n; k++) {
        crc ^= byte[k];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

// What the local and the central header of a member share. The date is 1980-01-01: the same contents give the same bytes.
static void put_header(FILE *to, const member *m) {
    put(to, 20, 2);          // version that is needed
    put(to, 0, 2);           // flags
    put(to, 0, 2);           // stored
    put(to, 0x00210000u, 4); // time and date
    put(to, m->crc, 4);
    put(to, m->size, 4);
    put(to, m->size, 4);
    put(to, (uint32_t)strlen(m->name), 2);
    put(to, 0, 2); // extra fields
}

// A member of two parts.
static void add_member(hb_npz *npz, const char *name, const void *head, size_t n_head, const void *data, size_t n) {
    if (npz->n_members == MOST || n_head + n > INT32_MAX) npz->failed = true;
    if (npz->failed) return;
    member *m = &npz->members[npz->n_members++];
    fflush(npz->stream);
    *m = (member){
        .crc = crc32(crc32(0, head, n_head), data, n), .size = (uint32_t)(n_head + n), .offset = (uint32_t)npz->n};
    snprintf(m->name, sizeof m->name, "%s.npy", name);
    put(npz->stream, 0x04034b50u, 4);
    put_header(npz->stream, m);
    fputs(m->name, npz->stream);
    fwrite(head, 1, n_head, npz->stream);
    fwrite(data, 1, n, npz->stream);
    if (ferror(npz->stream)) npz->failed = true;
}

static void put_directory(hb_npz *npz) {
    fflush(npz->stream);
    const size_t begin = npz->n;
    for (int k = 0; k < npz->n_members; k++) {
        const member *m = &npz->members[k];
        put(npz->stream, 0x02014b50u, 4);
        put(npz->stream, 20, 2); // version that made it
        put_header(npz->stream, m);
        put(npz->stream, 0, 2); // comment
        put(npz->stream, 0, 2); // disk
        put(npz->stream, 0, 2); // internal attributes
        put(npz->stream, 0, 4); // external attributes
        put(npz->stream, m->offset, 4);
        fputs(m->name, npz->stream);
    }
    fflush(npz->stream);
    const size_t length = npz->n - begin;
    put(npz->stream, 0x06054b50u, 4);
    put(npz->stream, 0, 4); // disks
    put(npz->stream, (uint32_t)npz->n_members, 2);
    put(npz->stream, (uint32_t)npz->n_members, 2);
    put(npz->stream, (uint32_t)length, 4);
    put(npz->stream, (uint32_t)begin, 4);
    put(npz->stream, 0, 2); // comment
}

hb_status hb_npz_write(hb_npz *npz, const char *path, hb_error *error) {
    put_directory(npz);
    const bool bad = npz->failed || fflush(npz->stream) != 0 || ferror(npz->stream) || npz->n > INT32_MAX;
    if (bad) return hb_fail(error, HB_FAILED, "%s: the archive does not fit memory, or 2 GB", path);
    return hb_file_write(path, npz->data, npz->n, error);
}

// ---------------------------------------------------------------------------------------------------
// NPY: a magic, a version, and a Python dictionary that is padded with blanks to a multiple of 64 bytes

static void add_array(hb_npz *npz, const char *name, const char *type, int rank, const int64_t *shape,
                      const void *data, size_t n) {
    static const char magic[8] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0};
    char text[512], head[640];
    size_t at = (size_t)snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
    for (int k = 0; k < rank; k++) at += (size_t)snprintf(text + at, sizeof text - at, "%lld,", (long long)shape[k]);
    at += (size_t)snprintf(text + at, sizeof text - at, "), }");
    const size_t whole = (10 + at + 1 + 63) / 64 * 64, length = whole - 10;
    memset(head, ' ', sizeof head);
    memcpy(head, magic, sizeof magic);
    head[8] = (char)(length & 255);
    head[9] = (char)(length >> 8);
    memcpy(head + 10, text, at);
    head[whole - 1] = '\n';
    add_member(npz, name, head, whole, data, n);
}

void hb_npz_add(hb_npz *npz, const char *name, int rank, const int64_t *shape, const float *data) {
    size_t n = sizeof *data;
    for (int k = 0; k < rank; k++) n *= (size_t)shape[k];
    add_array(npz, name, "<f4", rank, shape, data, n);
}

void hb_npz_add_texts(hb_npz *npz, const char *name, int n, const char *const *texts) {
    const int64_t shape[] = {n};
    size_t width = 1;
    char type[32];
    for (int k = 0; k < n; k++) width = strlen(texts[k]) > width ? strlen(texts[k]) : width;
    char *data = calloc((size_t)n + 1, width);
    if (!data) npz->failed = true;
    if (!data) return;
    for (int k = 0; k < n; k++) memcpy(data + (size_t)k * width, texts[k], strlen(texts[k]));
    snprintf(type, sizeof type, "|S%zu", width);
    add_array(npz, name, type, 1, shape, data, (size_t)n * width);
    free(data);
}
