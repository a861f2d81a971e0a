#define _GNU_SOURCE // fopencookie
#include "host/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

bool hb_child_exists(const char *name) {
    const char *path = getenv("PATH");
    char file[4096];
    while (path && *path) {
        const size_t n = strcspn(path, ":");
        if (snprintf(file, sizeof file, "%.*s/%s", (int)n, path, name) < (int)sizeof file && access(file, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

// ---------------------------------------------------------------------------------------------------
// The program's input as a stream: a socket, because send() can be told not to raise SIGPIPE

static ssize_t write_input(void *cookie, const char *data, size_t n) {
    const int socket = (int)(intptr_t)cookie;
    size_t sent = 0;
    while (sent < n) {
        const ssize_t now = send(socket, data + sent, n - sent, MSG_NOSIGNAL);
        if (now < 0 && errno == EINTR) continue;
        if (now <= 0) return 0; // an error
        sent += (size_t)now;
    }
    return (ssize_t)n;
}

static int close_input(void *cookie) {
    return close((int)(intptr_t)cookie);
}

static hb_status spawn(hb_child *child, const char *const *words, int input, hb_error *error) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    const int why = posix_spawnp(&child->pid, words[0], &actions, NULL, (char *const *)(uintptr_t)words, environ);
    posix_spawn_file_actions_destroy(&actions);
    return why == 0 ? HB_OK : hb_fail(error, HB_FAILED, "%s cannot be started: %s", words[0], strerror(why));
}

hb_status hb_child_start(hb_child *child, const char *const *words, hb_error *error) {
    int ends[2];
    *child = (hb_child){.pid = 0};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return hb_fail(error, HB_FAILED, "%s cannot be started: %m", words[0]);
    hb_status status = spawn(child, words, ends[1], error);
    close(ends[1]);
    if (status == HB_OK) {
        shutdown(ends[0], SHUT_RD);
        child->in = fopencookie((void *)(intptr_t)ends[0], "w",
                                (cookie_io_functions_t){.write = write_input, .close = close_input});
        if (!child->in) status = hb_fail(error, HB_FAILED, "out of memory starting %s", words[0]);
    }
    if (status == HB_OK) return HB_OK;
    close(ends[0]);
    hb_child_end(child);
    return status;
}

bool hb_child_end(hb_child *child) {
    bool good = child->in && !ferror(child->in);
    if (child->in) good = fclose(child->in) == 0 && good;
    int how = 0;
    while (child->pid > 0 && waitpid(child->pid, &how, 0) < 0 && errno == EINTR) {
    }
    good = good && child->pid > 0 && WIFEXITED(how) && WEXITSTATUS(how) == 0;
    *child = (hb_child){.pid = 0};
    return good;
}
