// Whether a picture or film that another program wrote has its end: on a full disk gnuplot and ffmpeg may leave a part and say nothing.
#include "host/base/files.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static bool ends_with_bytes(FILE *file, const char *bytes, size_t n) {
    char end[16];
    return fseek(file, -(long)n, SEEK_END) == 0 && fread(end, 1, n, file) == n && memcmp(end, bytes, n) == 0;
}

// The boxes of an MP4 (ISO 14496-12, 4.2): a length of 32 bits, big end first, and a name; the last one ends with the file, and `moov`,
// the index, is among them. A length of 1 has the real one, of 64 bits, behind the name.
static bool is_whole_mp4(FILE *file, int64_t size) {
    bool index = false;
    int64_t at = 0;
    while (at < size) {
        uint8_t head[16] = {0};
        if (fseek(file, (long)at, SEEK_SET) != 0 || fread(head, 1, 16, file) < 8) return false;
        int64_t length = (int64_t)head[0] << 24 | head[1] << 16 | head[2] << 8 | head[3];
        if (length == 1) {
            length = 0;
            for (int k = 8; k < 16; k++) length = length << 8 | head[k];
        }
        index = index || memcmp(head + 4, "moov", 4) == 0;
        if (length < 8) return false;
        at += length;
    }
    return index && at == size;
}

bool hb_file_is_whole(const char *path, const char *name) {
    FILE *file = fopen(path, "rbe");
    if (!file) return false;
    const int64_t size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    bool whole = size > 0;
    if (hb_ends_with(name, ".png"))
        whole = ends_with_bytes(file, "IEND\xae\x42\x60\x82", 8);
    else if (hb_ends_with(name, ".svg"))
        whole = ends_with_bytes(file, "</svg>\n", 7) || ends_with_bytes(file, "</svg>\n\n", 8) ||
                ends_with_bytes(file, "</svg>", 6);
    else if (hb_ends_with(name, ".gif"))
        whole = ends_with_bytes(file, ";", 1);
    else if (hb_ends_with(name, ".mp4"))
        whole = is_whole_mp4(file, size);
    fclose(file);
    return whole;
}
