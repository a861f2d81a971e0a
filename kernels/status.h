// How every function of the library reports failure: a status to branch on, a line for the user.
#ifndef HB_STATUS_H
#define HB_STATUS_H

typedef enum {
    HB_OK = 0,
    HB_BAD_INPUT = 2,    // the user can mend it: a file, a key, a value
    HB_FAILED = 1,       // the machine said no: memory, disk, device
    HB_INTERRUPTED = 75, // stopped on request; what was finished is saved and can be resumed
} hb_status;

// One line that says where, what was expected and what was found. Untouched by success.
typedef struct {
    char message[1024];
} hb_error;

// Writes one line into *error. Nullable: error.
#ifdef __cplusplus
extern "C"
#endif
    void
    hb_tell(hb_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Tells and gives `status`, so that callers can write `return hb_fail(error, HB_FAILED, "...", ...)`. A
// macro, so that compilers and analysers see which status it is.
#define hb_fail(error, status, ...) (hb_tell((error), __VA_ARGS__), (status))

#endif
