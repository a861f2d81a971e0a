#include "host/base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void hb_path(char path[HB_PATH], const char *folder, const char *name) {
    if (snprintf(path, HB_PATH, "%s/%s", folder, name) >= HB_PATH) path[HB_PATH - 1] = '\0';
}

static int write_all(int file, const char *data, size_t n) {
    while (n > 0) {
        const ssize_t written = write(file, data, n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return -1;
        data += written;
        n -= (size_t)written;
    }
    return 0;
}

static void sync_folder_of(const char *path) {
    char copy[HB_PATH];
    snprintf(copy, sizeof copy, "%s", path);
    const int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;
    fsync(folder);
    close(folder);
}

hb_status hb_file_write(const char *path, const void *data, size_t n, hb_error *error) {
    char temporary[HB_PATH];
    if (snprintf(temporary, sizeof temporary, "%s" HB_PARTIAL, path) >= HB_PATH)
        return hb_fail(error, HB_BAD_INPUT, "%s: the path is too long", path);
    const int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return hb_fail(error, HB_FAILED, "%s: cannot be written: %s", temporary, strerror(errno));
    int bad = write_all(file, data, n) != 0 || fsync(file) != 0;
    int why = errno;
    if (close(file) != 0 && !bad) bad = 1, why = errno;
    if (!bad && rename(temporary, path) != 0) bad = 1, why = errno;
    if (bad) {
        unlink(temporary);
        return hb_fail(error, HB_FAILED, "%s: cannot be written: %s", path, strerror(why));
    }
    sync_folder_of(path);
    return HB_OK;
}

hb_status hb_file_read(const char *path, size_t most, void **data, size_t *n, hb_error *error) {
    const int handle = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); // a FIFO must not block
    FILE *file = handle < 0 ? NULL : fdopen(handle, "rb");
    struct stat about;
    if (!file || fstat(fileno(file), &about) != 0 || !S_ISREG(about.st_mode)) {
        const int why = file ? EINVAL : errno;
        if (file) fclose(file);
        return hb_fail(error, HB_BAD_INPUT, "%s: cannot be read: %s", path, strerror(why));
    }
    const size_t size = (size_t)about.st_size;
    if (size > most) {
        fclose(file);
        return hb_fail(error, HB_BAD_INPUT, "%s: expected at most %zu bytes, found %zu", path, most, size);
    }
    char *bytes = malloc(size + 1);
    const size_t got = bytes ? fread(bytes, 1, size, file) : 0;
    fclose(file);
    if (!bytes) return hb_fail(error, HB_FAILED, "out of memory reading %s", path);
    if (got != size) {
        free(bytes);
        return hb_fail(error, HB_FAILED, "%s: only %zu of %zu bytes could be read", path, got, size);
    }
    bytes[got] = '\0';
    *data = bytes;
    *n = got;
    return HB_OK;
}
