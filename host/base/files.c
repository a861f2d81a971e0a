#include "host/base/files.h"

#include <dirent.h>
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

bool hb_ends_with(const char *text, const char *ending) {
    const size_t n = strlen(text), m = strlen(ending);
    return n > m && strcmp(text + n - m, ending) == 0;
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

// ---------------------------------------------------------------------------------------------------
// Folders, and files of other programs

static int is_entry(const struct dirent *entry) {
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void remove_folder(const char *folder) {
    struct dirent **list;
    const int n = scandir(folder, &list, is_entry, NULL);
    for (int k = 0; k < n; k++) {
        char path[HB_PATH];
        hb_path(path, folder, list[k]->d_name);
        unlink(path);
        free(list[k]);
    }
    if (n >= 0) free(list);
    rmdir(folder);
}

hb_status hb_folder_begin(const char *out, char part[HB_PATH], hb_error *error) {
    size_t n = strlen(out);
    while (n > 1 && out[n - 1] == '/') n--;
    if (snprintf(part, HB_PATH, "%.*s" HB_PARTIAL, (int)n, out) >= HB_PATH)
        return hb_fail(error, HB_BAD_INPUT, "%s: the path is too long", out);
    if (access(out, F_OK) == 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected a name that does not exist yet, found one", out);
    remove_folder(part);
    if (mkdir(part, 0777) == 0) return HB_OK;
    return hb_fail(error, HB_BAD_INPUT, "%s: the folder cannot be made: %s", out, strerror(errno));
}

static hb_status take_name(const char *part, const char *out, hb_error *error) {
    if (rename(part, out) != 0) return hb_fail(error, HB_FAILED, "%s: cannot be written: %s", out, strerror(errno));
    sync_folder_of(out);
    return HB_OK;
}

hb_status hb_folder_finish(const char *part, const char *out, hb_status status, hb_error *error) {
    if (status == HB_OK) status = take_name(part, out, error);
    if (status != HB_OK) remove_folder(part);
    return status;
}

hb_status hb_file_finish(const char *part, const char *out, hb_status status, hb_error *error) {
    if (status == HB_OK && !hb_file_is_whole(part, out))
        status = hb_fail(error, HB_FAILED, "%s: cannot be written: only a part of it was; is the disk full?", out);
    if (status == HB_OK) status = take_name(part, out, error);
    if (status != HB_OK) unlink(part);
    return status;
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
