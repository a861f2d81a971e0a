// How every function reports failure: a status to branch on, and a line for the user.
#ifndef HB_STATUS_H
#define HB_STATUS_H

typedef enum {
    HB_OK = 0,
    HB_BAD_INPUT = 2,    // the user can correct it: a file, a key, a value
    HB_FAILED = 1,       // the machine cannot do it: memory, disk, device
    HB_INTERRUPTED = 75, // stopped on request; finished work is saved and can be resumed
} hb_status;

// One line that says where, what was expected and what was found. Unchanged on success.
typedef struct {
    char message[1024];
} hb_error;

#endif
