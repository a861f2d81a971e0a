// Programs that write pictures for us: gnuplot, ffmpeg. They are started without a shell and read what we write from their standard
// input. A program that ends early is a write error; no signal is raised, and no signal handler of the process is changed.
#ifndef HB_CHILD_H
#define HB_CHILD_H

#include "kernels/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

typedef struct {
    FILE *in; // the program's standard input
    pid_t pid;
} hb_child;

// True if a program of that name is in a folder of PATH.
bool hb_child_exists(const char *name);

// Starts the program words[0] with the arguments words[1..], NULL-terminated. Its messages are discarded. The caller ends it.
hb_status hb_child_start(hb_child *child, const char *const *words, hb_error *error);

// Closes the program's input and waits for its end. True if everything was written and it exited with 0.
bool hb_child_end(hb_child *child);

#endif
