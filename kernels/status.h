// How every function of the library reports failure: a status to branch on, a line for the user.
#ifndef HB_STATUS_H
#define HB_STATUS_H

typedef enum {
    HB_OK = 0,
    HB_BAD_INPUT = 2,    // the user can mend it: a file, a key, a value
    HB_FAILED = 1,       // the machine said no: memory, disk, device
    HB_INTERRUPTED = 75, // stopped on request; what was finished is saved and can be resumed
} hb_status;

// One line that says where, what was expected and what was found. Empty after success.
typedef struct {
    char message[1024];
} hb_error;

// Writes the message and returns `status`, so that callers can write `return hb_fail(...)`.
// Nullable: error.
hb_status hb_fail(hb_error *error, hb_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
