#include "tests/cuda_on_cpu/ptx.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned ptx_order;
unsigned ptx_faults;
char ptx_first_fault[512];
ptx_counts ptx_counters;

// ---------------------------------------------------------------------------------------------------
// Program

typedef enum { U8, U16, U32, U64, S8, S16, S32, S64, F32, F64, F16, PRED, N_TYPES } type;
static const struct {
    const char *name;
    type type;
} type_names[] = {{"u8", U8},   {"u16", U16}, {"u32", U32}, {"u64", U64},  {"s8", S8},   {"s16", S16},
                  {"s32", S32}, {"s64", S64}, {"f32", F32}, {"f64", F64},  {"f16", F16}, {"b8", U8},
                  {"b16", U16}, {"b32", U32}, {"b64", U64}, {"pred", PRED}};
static const unsigned type_bytes[N_TYPES] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 2, 1};

typedef enum {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_MUL_WIDE,
    OP_MUL_HI,
    OP_MAD,
    OP_FMA,
    OP_DIV,
    OP_REM,
    OP_RCP,
    OP_SQRT,
    OP_NEG,
    OP_ABS,
    OP_NOT,
    OP_AND,
    OP_OR,
    OP_XOR,
    OP_SHL,
    OP_SHR,
    OP_SHF, // left, by the lowest 5 bits: the upper half of a 64-bit number
    OP_MIN,
    OP_MAX,
    OP_SETP,
    OP_SELP,
    OP_MOV,
    OP_CVT,
    OP_CVTA,
    OP_LD,
    OP_ST,
    OP_ATOM_MAX,
    OP_ATOM_ADD,
    OP_BFI,
    OP_BRA,
    OP_CALL,
    OP_RET,
    OP_BAR
} op;

typedef enum { SPACE_GLOBAL, SPACE_SHARED, SPACE_LOCAL, SPACE_PARAM } space;
typedef enum { EQ, NE, LT, LE, GT, GE } comparison;
typedef enum { REGISTER, IMMEDIATE, TID, NTID, CTAID, NCTAID } operand_kind;

typedef struct {
    operand_kind kind;
    int reg;
    uint64_t value; // IMMEDIATE; of an address: what is added to the register
} operand;

typedef struct {
    op op;
    type type, from; // from: of cvt
    comparison comparison;
    bool unordered; // setp.neu and its like: true where an operand is NaN
    space space;
    int guard; // predicate register, or -1
    bool guard_not;
    int n_vector; // ld, st of .v2, .v4
    operand dst[4], src[4];
    int target; // of bra, call
    int line;
} instruction;

typedef struct {
    char name[256];
    uint64_t value; // register number; offset of a shared, local or parameter symbol; a label's instruction
    bool is_register;
} symbol;

// A function that kernels call: it has no result, and its arguments stand in local memory, as nothing calls itself.
enum { MOST_FUNCTIONS = 32, MOST_ARGUMENTS = 8, DEEPEST = 8 };
typedef struct {
    char name[256];
    int start, n_arguments;
    uint64_t argument[MOST_ARGUMENTS];
} function;

// A kernel's code, behind that of the module's functions, which it may call.
struct ptx_kernel {
    char name[256];
    instruction *code;
    int n_code, start, n_registers;
    symbol *symbols; // of the body being read
    int n_symbols;
    function functions[MOST_FUNCTIONS];
    int n_functions;
    bool in_function; // while reading
    size_t shared_bytes, local_bytes, parameter_bytes;
    int n_parameters;
    size_t parameter_at[32], parameter_size[32];
};

struct ptx_module {
    ptx_kernel *kernels;
    int n_kernels;
};

__attribute__((noreturn, format(printf, 1, 2))) static void stop(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "ptx: ");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void *grown(void *memory, size_t bytes) {
    void *result = realloc(memory, bytes);
    if (!result) stop("out of memory");
    return result;
}

// ---------------------------------------------------------------------------------------------------
// Parsing: a kernel's body is statements that end in ';', and labels that end in ':'

static symbol *find_symbol(ptx_kernel *k, const char *name) {
    for (int i = 0; i < k->n_symbols; i++)
        if (strcmp(k->symbols[i].name, name) == 0) return &k->symbols[i];
    return NULL;
}

static symbol *add_symbol(ptx_kernel *k, const char *name, uint64_t value, bool is_register) {
    if (k->n_symbols % 256 == 0) k->symbols = grown(k->symbols, (size_t)(k->n_symbols + 256) * sizeof(symbol));
    symbol *s = &k->symbols[k->n_symbols++];
    snprintf(s->name, sizeof s->name, "%s", name);
    s->value = value;
    s->is_register = is_register;
    return s;
}

static int register_number(ptx_kernel *k, const char *name) {
    symbol *s = find_symbol(k, name);
    if (!s) s = add_symbol(k, name, (uint64_t)k->n_registers++, true);
    return (int)s->value;
}

static type find_type(const char *name) {
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (strcmp(type_names[i].name, name) == 0) return type_names[i].type;
    return N_TYPES;
}

static operand parse_operand(ptx_kernel *k, const char *text) {
    operand o = {.kind = IMMEDIATE};
    if (strncmp(text, "%tid.x", 6) == 0) return (operand){.kind = TID};
    if (strncmp(text, "%ntid.x", 7) == 0) return (operand){.kind = NTID};
    if (strncmp(text, "%ctaid.x", 8) == 0) return (operand){.kind = CTAID};
    if (strncmp(text, "%nctaid.x", 9) == 0) return (operand){.kind = NCTAID};
    if (*text == '%' && strchr(text, '.')) stop("special register %s is not known", text);
    if (*text == '%') return (operand){.kind = REGISTER, .reg = register_number(k, text)};
    if (strncmp(text, "0f", 2) == 0 || strncmp(text, "0d", 2) == 0) {
        o.value = strtoull(text + 2, NULL, 16);
        return o;
    }
    if (isdigit((unsigned char)*text) || *text == '-') {
        o.value = *text == '-' ? (uint64_t)strtoll(text, NULL, 0) : strtoull(text, NULL, 0);
        return o;
    }
    const symbol *s = find_symbol(k, text);
    if (!s) stop("symbol %s is not known", text);
    o.value = s->value;
    return o;
}

// [reg], [reg+8], [symbol], [symbol+8]: a register (or none) and a sum.
static operand parse_address(ptx_kernel *k, char *text) {
    char *plus = strchr(text, '+');
    uint64_t offset = 0;
    if (plus) {
        offset = (uint64_t)strtoll(plus + 1, NULL, 0);
        *plus = '\0';
    }
    operand o = parse_operand(k, text);
    o.value += offset;
    return o;
}

// Splits the text behind the opcode at commas outside brackets, blanks removed.
static int split(char *text, char parts[8][256]) {
    int n = 0, depth = 0;
    size_t at = 0;
    for (char *c = text;; c++) {
        if (*c == '{' || *c == '[' || *c == '(') depth++;
        if (*c == '}' || *c == ']' || *c == ')') depth--;
        if (*c == '\0' || (*c == ',' && depth == 0)) {
            parts[n][at] = '\0';
            if (at > 0) n++;
            at = 0;
            if (*c == '\0') return n;
        } else if (!isspace((unsigned char)*c) && at < 255) {
            parts[n][at++] = *c;
        }
    }
}

static int parse_vector(ptx_kernel *k, const char *text, operand *out) {
    if (*text != '{') return out[0] = parse_operand(k, text), 1;
    char copy[256];
    snprintf(copy, sizeof copy, "%.*s", (int)strlen(text) - 2, text + 1);
    int n = 0;
    for (char *rest = NULL, *part = strtok_r(copy, ",", &rest); part; part = strtok_r(NULL, ",", &rest))
        out[n++] = parse_operand(k, part);
    return n;
}

static const struct {
    const char *name;
    op op;
} ops[] = {{"add", OP_ADD},   {"sub", OP_SUB},       {"mul", OP_MUL},  {"mad", OP_MAD},   {"fma", OP_FMA},
           {"div", OP_DIV},   {"rem", OP_REM},       {"rcp", OP_RCP},  {"sqrt", OP_SQRT}, {"neg", OP_NEG},
           {"abs", OP_ABS},   {"not", OP_NOT},       {"and", OP_AND},  {"or", OP_OR},     {"xor", OP_XOR},
           {"shl", OP_SHL},   {"shr", OP_SHR},       {"shf", OP_SHF},  {"min", OP_MIN},   {"max", OP_MAX},
           {"setp", OP_SETP}, {"selp", OP_SELP},     {"mov", OP_MOV},  {"cvt", OP_CVT},   {"cvta", OP_CVTA},
           {"ld", OP_LD},     {"st", OP_ST},         {"bfi", OP_BFI},  {"bra", OP_BRA},   {"ret", OP_RET},
           {"bar", OP_BAR},   {"atom", OP_ATOM_MAX}, {"call", OP_CALL}};

// The modifiers behind the opcode's name, checked one by one: what is not known stops.
static void parse_modifiers(instruction *in, char *text, const char *whole) {
    static const char *const comparisons[] = {"eq", "ne", "lt", "le", "gt", "ge"};
    static const char *const unordered[] = {"equ", "neu", "ltu", "leu", "gtu", "geu"};
    static const char *const spaces[] = {"global", "shared", "local", "param"};
    bool typed = false, lo = false, rounded = false;
    for (char *rest = NULL, *m = strtok_r(text, ".", &rest); m; m = strtok_r(NULL, ".", &rest)) {
        const type t = find_type(m);
        bool known = t != N_TYPES;
        if (known && typed) in->from = t;
        if (known && !typed) in->type = in->from = t, typed = true;
        for (int c = 0; c < 6 && in->op == OP_SETP && !known; c++) {
            if (strcmp(m, comparisons[c]) == 0) in->comparison = (comparison)c, known = true;
            if (strcmp(m, unordered[c]) == 0) in->comparison = (comparison)c, in->unordered = known = true;
        }
        for (int s = 0; s < 4 && !known; s++)
            if (strcmp(m, spaces[s]) == 0) in->space = (space)s, known = true;
        if (strcmp(m, "rn") == 0) rounded = known = true;
        if (strcmp(m, "rzi") == 0 && in->op == OP_CVT) known = true; // float to integer: the only way that is known
        if (strcmp(m, "lo") == 0) lo = known = true;
        if (strcmp(m, "wide") == 0 && in->op == OP_MUL) in->op = OP_MUL_WIDE, lo = known = true;
        if (strcmp(m, "hi") == 0 && in->op == OP_MUL) in->op = OP_MUL_HI, lo = known = true;
        if (strcmp(m, "v2") == 0) in->n_vector = 2, known = true;
        if (strcmp(m, "v4") == 0) in->n_vector = 4, known = true;
        if (strcmp(m, "max") == 0 && in->op == OP_ATOM_MAX) known = true;
        if (strcmp(m, "add") == 0 && in->op == OP_ATOM_MAX) in->op = OP_ATOM_ADD, known = true;
        if (strcmp(m, "to") == 0 && in->op == OP_CVTA) known = true;
        if (strcmp(m, "uni") == 0 && (in->op == OP_BRA || in->op == OP_RET || in->op == OP_CALL)) known = true;
        if (strcmp(m, "sync") == 0 && in->op == OP_BAR) known = true;
        if ((strcmp(m, "l") == 0 || strcmp(m, "wrap") == 0) && in->op == OP_SHF) known = true;
        if (strcmp(m, "nc") == 0 && in->op == OP_LD) known = true;
        if (!known) stop("modifier .%s of '%s' is not known", m, whole);
    }
    const bool is_float = in->type == F32 || in->type == F64;
    const bool rounds = in->op == OP_FMA || in->op == OP_DIV || in->op == OP_RCP || in->op == OP_SQRT;
    if (is_float && rounds && !rounded) stop("'%s' is not correctly rounded", whole);
    if (!is_float && (in->op == OP_MUL || in->op == OP_MAD) && !lo) stop("'%s': which half?", whole);
}

static void add_code(ptx_kernel *k, const instruction *in) {
    if (k->n_code % 256 == 0) k->code = grown(k->code, (size_t)(k->n_code + 256) * sizeof(instruction));
    k->code[k->n_code++] = *in;
}

// "call function, (a, b)": copies the arguments from the caller's places to the function's, then the call.
static void add_call(ptx_kernel *k, const char *name, const char *arguments, int line) {
    const function *f = k->functions;
    while (f < k->functions + k->n_functions && strcmp(f->name, name) != 0) f++;
    if (f == k->functions + k->n_functions) stop("function %s is not known before its call", name);
    char copy[256];
    snprintf(copy, sizeof copy, "%s", arguments + 1);
    copy[strcspn(copy, ")")] = '\0';
    int n = 0;
    instruction move = {.type = U64, .space = SPACE_LOCAL, .guard = -1, .n_vector = 1, .line = line};
    const operand passed = {.kind = REGISTER, .reg = register_number(k, "%argument")};
    for (char *rest = NULL, *part = strtok_r(copy, ",", &rest); part; part = strtok_r(NULL, ",", &rest), n++) {
        if (n == f->n_arguments) stop("%s is called with too many arguments", name);
        move.op = OP_LD, move.dst[0] = passed, move.src[0] = parse_operand(k, part);
        add_code(k, &move);
        move.op = OP_ST, move.dst[0] = (operand){.kind = IMMEDIATE, .value = f->argument[n]}, move.src[0] = passed;
        add_code(k, &move);
    }
    if (n != f->n_arguments) stop("%s is called with too few arguments", name);
    const instruction call = {.op = OP_CALL, .guard = -1, .target = f->start, .line = line};
    add_code(k, &call);
}

static void parse_statement(ptx_kernel *k, char *text, int line) {
    char whole[256];
    snprintf(whole, sizeof whole, "%s", text);
    instruction in = {.guard = -1, .line = line, .n_vector = 1};
    if (*text == '@') {
        in.guard_not = text[1] == '!';
        char *name = text + 1 + in.guard_not, *end = name + strcspn(name, " \t");
        char copy[64];
        snprintf(copy, sizeof copy, "%.*s", (int)(end - name), name);
        in.guard = register_number(k, copy);
        text = end + strspn(end, " \t");
    }
    char *arguments = text + strcspn(text, " \t");
    char opcode[64], parts[8][256];
    snprintf(opcode, sizeof opcode, "%.*s", (int)(arguments - text), text);
    char *dot = strchr(opcode, '.');
    if (dot) *dot++ = '\0';
    size_t which = 0;
    while (which < sizeof ops / sizeof *ops && strcmp(ops[which].name, opcode) != 0) which++;
    if (which == sizeof ops / sizeof *ops) stop("instruction '%s' is not known", whole);
    in.op = ops[which].op;
    char none[] = "";
    parse_modifiers(&in, dot ? dot : none, whole);
    const int n = split(arguments, parts);
    // A function's own arguments, and those that a call will pass, stand in local memory.
    if (in.space == SPACE_PARAM && (k->in_function || in.op == OP_ST)) in.space = SPACE_LOCAL;
    if (in.op == OP_CALL) {
        if (in.guard >= 0 || n != 2) stop("'%s' is not known", whole);
        add_call(k, parts[0], parts[1], line);
        return;
    }
    if (in.op == OP_BRA) {
        symbol *label = find_symbol(k, parts[0]);
        if (!label) label = add_symbol(k, parts[0], UINT64_MAX, false);
        in.target = (int)(label - k->symbols);
    } else if (in.op == OP_LD || in.op == OP_ATOM_MAX || in.op == OP_ATOM_ADD) {
        in.n_vector = parse_vector(k, parts[0], in.dst);
        parts[1][strlen(parts[1]) - 1] = '\0';
        in.src[0] = parse_address(k, parts[1] + 1);
        if (n > 2) in.src[1] = parse_operand(k, parts[2]);
    } else if (in.op == OP_ST) {
        parts[0][strlen(parts[0]) - 1] = '\0';
        in.dst[0] = parse_address(k, parts[0] + 1);
        in.n_vector = parse_vector(k, parts[1], in.src);
    } else if (n > 0 && in.op != OP_BAR) {
        in.dst[0] = parse_operand(k, parts[0]);
        for (int s = 1; s < n; s++) in.src[s - 1] = parse_operand(k, parts[s]);
    }
    add_code(k, &in);
}

// ".shared .align 4 .b8 name[16]", ".local ...", ".param ...": alignment, size and name.
static void parse_variable(char *text, size_t *align, size_t *bytes, char name[256]) {
    *align = 1;
    size_t element = 1, count = 1;
    for (char *rest = NULL, *word = strtok_r(text, " \t,\n", &rest); word; word = strtok_r(NULL, " \t,\n", &rest)) {
        if (strcmp(word, ".align") == 0) {
            *align = strtoul(strtok_r(NULL, " \t", &rest), NULL, 10);
        } else if (*word == '.' && find_type(word + 1) != N_TYPES) {
            element = type_bytes[find_type(word + 1)];
            if (*align < element) *align = element;
        } else if (*word != '.') {
            char *bracket = strchr(word, '[');
            if (bracket) {
                count = strtoul(bracket + 1, NULL, 10);
                *bracket = '\0';
            }
            snprintf(name, 256, "%s", word);
        }
    }
    *bytes = element * count;
}

static size_t place(size_t *total, size_t align, size_t bytes) {
    const size_t at = (*total + align - 1) / align * align;
    *total = at + bytes;
    return at;
}

// Room for an argument of a call: 8 bytes, so that it can be copied without a look at its type.
static uint64_t place_argument(ptx_kernel *k, const char *name, size_t bytes) {
    if (bytes > 8) stop("argument %s is longer than 8 bytes", name);
    symbol *known = find_symbol(k, name); // of an earlier call: it has been read
    return known ? known->value : add_symbol(k, name, place(&k->local_bytes, 8, 8), false)->value;
}

static void parse_parameters(ptx_kernel *k, char *text) {
    for (char *rest = NULL, *line = strtok_r(text, ",", &rest); line; line = strtok_r(NULL, ",", &rest)) {
        size_t align, bytes;
        char name[256] = "";
        parse_variable(line, &align, &bytes, name);
        if (!*name) continue;
        if (k->in_function) {
            function *f = &k->functions[k->n_functions - 1];
            if (f->n_arguments == MOST_ARGUMENTS) stop("%s has too many arguments", f->name);
            f->argument[f->n_arguments++] = place_argument(k, name, bytes);
            continue;
        }
        const size_t at = place(&k->parameter_bytes, align, bytes);
        k->parameter_at[k->n_parameters] = at;
        k->parameter_size[k->n_parameters++] = bytes;
        add_symbol(k, name, at, false);
    }
}

// Shared addresses: bytes between static arrays, so that the first is not 0; and where dynamic memory starts.
enum { SHARED_GUARD = 64, SHARED_DYNAMIC = 1 << 20 };

static void parse_line(ptx_kernel *k, char *text, int *line) {
    text += strspn(text, " \t");
    char *comment = strstr(text, "//");
    if (comment) *comment = '\0';
    size_t n = strlen(text);
    while (n > 0 && isspace((unsigned char)text[n - 1])) text[--n] = '\0';
    if (n == 0 || *text == '{' || *text == '}' || *text == '(' || *text == ')') return;
    size_t align, bytes;
    char name[256] = "";
    if (text[n - 1] == ':') {
        text[n - 1] = '\0';
        symbol *label = find_symbol(k, text);
        if (!label) label = add_symbol(k, text, 0, false);
        label->value = (uint64_t)k->n_code;
    } else if (sscanf(text, ".loc %*d %d", line) == 1 || strncmp(text, ".reg", 4) == 0 ||
               strncmp(text, ".pragma", 7) == 0) {
        return;
    } else if (strncmp(text, ".shared", 7) == 0 || strncmp(text, ".local", 6) == 0) {
        const bool shared = text[1] == 's';
        text[n - 1] = '\0';
        parse_variable(text, &align, &bytes, name);
        if (shared) k->shared_bytes += SHARED_GUARD;
        add_symbol(k, name, place(shared ? &k->shared_bytes : &k->local_bytes, align, bytes), false);
    } else if (strncmp(text, ".param", 6) == 0) { // of a call
        text[n - 1] = '\0';
        parse_variable(text, &align, &bytes, name);
        place_argument(k, name, bytes);
    } else if (*text == '.') {
        stop("directive '%s' is not known", text);
    } else {
        if (text[n - 1] != ';') stop("'%s' does not end", text);
        text[n - 1] = '\0';
        parse_statement(k, text, *line);
    }
}

// A call is written over several lines: they become one.
static void join_calls(char *text) {
    for (char *at = text; (at = strstr(at, "call.uni")) != NULL;)
        for (; *at && *at != ';'; at++)
            if (*at == '\n') *at = ' ';
}

// The brace that closes the one at `text`.
static char *closing_brace(char *text) {
    int depth = 0;
    for (; *text; text++) {
        depth += (*text == '{') - (*text == '}');
        if (depth == 0) return text;
    }
    stop("a body does not end");
}

// The function or kernel whose name stands at `at`, up to the end of its body, which is returned. Its symbols are its own.
static char *parse_body(ptx_kernel *k, char *at, const char *dynamic) {
    char *open = strchr(at, '('), *close = strchr(open, ')'), *body = strchr(close, '{');
    char *end = closing_brace(body);
    const int begin = k->n_code;
    k->n_symbols = 0;
    *close = *end = '\0';
    parse_parameters(k, open + 1);
    if (*dynamic) add_symbol(k, dynamic, SHARED_DYNAMIC, false);
    int line = 0;
    for (char *rest = NULL, *row = strtok_r(body + 1, "\n", &rest); row; row = strtok_r(NULL, "\n", &rest))
        parse_line(k, row, &line);
    for (int i = begin; i < k->n_code; i++)
        if (k->code[i].op == OP_BRA) {
            if (k->symbols[k->code[i].target].value == UINT64_MAX)
                stop("label %s is missing", k->symbols[k->code[i].target].name);
            k->code[i].target = (int)k->symbols[k->code[i].target].value;
        }
    return end + 1;
}

static void copy_name(char name[256], const char *at) {
    snprintf(name, 256, "%.*s", (int)strcspn(at, "(\n "), at);
}

// The module's functions; a function stands before its callers.
static void parse_functions(ptx_kernel *k, const char *text, const char *dynamic) {
    char *copy = strdup(text);
    if (!copy) stop("out of memory");
    k->in_function = true;
    for (char *at = copy; (at = strstr(at, "\n.func ")) != NULL;) {
        if (k->n_functions == MOST_FUNCTIONS) stop("more than %d functions", MOST_FUNCTIONS);
        at += strlen("\n.func ");
        if (*at == '(') stop("functions with a result are not known");
        function *f = &k->functions[k->n_functions++];
        *f = (function){.start = k->n_code};
        copy_name(f->name, at);
        at = parse_body(k, at, dynamic);
    }
    k->in_function = false;
    k->start = k->n_code;
    free(copy);
}

ptx_module *ptx_parse(const char *text) {
    ptx_module *module = calloc(1, sizeof *module);
    char dynamic[256] = "";
    char *copy = strdup(text);
    if (!module || !copy) stop("out of memory");
    const char *external = strstr(text, ".extern .shared");
    if (external) sscanf(strstr(external, ".b8 ") + 4, "%255[^[]", dynamic);
    join_calls(copy);
    char *joined = strdup(copy);
    if (!joined) stop("out of memory");
    for (char *at = copy; (at = strstr(at, ".entry ")) != NULL;) {
        module->kernels = grown(module->kernels, (size_t)(module->n_kernels + 1) * sizeof(ptx_kernel));
        ptx_kernel *k = &module->kernels[module->n_kernels++];
        *k = (ptx_kernel){.shared_bytes = SHARED_GUARD};
        parse_functions(k, joined, dynamic);
        at += strlen(".entry ");
        copy_name(k->name, at);
        at = parse_body(k, at, dynamic);
    }
    free(copy);
    free(joined);
    return module;
}

ptx_kernel *ptx_find(ptx_module *module, const char *name) {
    for (int k = 0; k < module->n_kernels; k++)
        if (strcmp(module->kernels[k].name, name) == 0) return &module->kernels[k];
    return NULL;
}

void ptx_copy_arguments(const ptx_kernel *k, void **arguments, void **copies) {
    for (int p = 0; p < k->n_parameters; p++) {
        copies[p] = malloc(k->parameter_size[p]);
        if (!copies[p]) stop("out of memory");
        memcpy(copies[p], arguments[p], k->parameter_size[p]);
    }
}

// ---------------------------------------------------------------------------------------------------
// Memory and its checks

typedef struct {
    uint8_t *start;
    size_t bytes;
} region;

static region regions[4096];
static int n_regions;

void ptx_memory_add(void *memory, size_t bytes) {
    if (n_regions == 4096) stop("too many allocations");
    regions[n_regions++] = (region){memory, bytes};
}

void ptx_memory_remove(void *memory) {
    for (int k = 0; k < n_regions; k++)
        if (regions[k].start == memory) {
            regions[k] = regions[--n_regions];
            return;
        }
}

bool ptx_memory_has(const void *memory, size_t bytes) {
    const uint8_t *at = memory;
    for (int k = 0; k < n_regions; k++) {
        const uint8_t *start = regions[k].start;
        if (at >= start && at + bytes <= start + regions[k].bytes) return true;
    }
    return false;
}

// Who touched a word of memory last in this grid, in each of three ways. Two threads of a block race where they touch
// it in ways that do not go together and no barrier is in between; threads of different blocks race in any case.
// Reads go with reads, atomics with atomics, nothing else goes together.
typedef enum { READ, WRITE, ATOMIC, N_WAYS } way;

typedef struct {
    int32_t block, thread; // block -1: none
    uint32_t epoch;        // barriers passed
    bool many;             // other threads of the block did so in that epoch, too
} touch;

typedef struct {
    uint64_t grid; // the shadow is of this grid, else void
    uint64_t word;
    touch last[N_WAYS];
} shadow;

enum { SHADOWS = 1 << 20 };
static shadow *shadows;
static uint64_t grid_number;

typedef struct {
    uint64_t *registers;
    uint32_t *visits; // of each instruction, where sectors are counted
    uint8_t *local;
    int pc, callers[DEEPEST], depth; // callers: where to go on after a return
    bool waiting, done;
} thread;

typedef struct {
    const ptx_kernel *kernel;
    uint32_t blocks, threads;
    size_t dynamic_shared;
    uint8_t *parameters;
    uint8_t *shared; // static arrays
    uint8_t *dynamic;
    thread *thread;
    uint32_t block, epoch;
} grid;

// A program in which anything went wrong does not succeed, whatever its results.
static __attribute__((destructor)) void tell_faults(void) {
    if (ptx_faults == 0) return;
    fprintf(stderr, "ptx: %u faults; the first: %s\n", ptx_faults, ptx_first_fault);
    _exit(3);
}

__attribute__((format(printf, 3, 4))) static void fault(const grid *g, const instruction *in, const char *format,
                                                        ...) {
    if (ptx_faults++ > 0) return;
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(ptx_first_fault, sizeof ptx_first_fault, "%.200s, line %d, block %u: %s", g->kernel->name, in->line,
             g->block, text);
}

static shadow *shadow_of(uint64_t word) {
    if (!shadows) shadows = calloc(SHADOWS, sizeof *shadows);
    if (!shadows) stop("out of memory");
    for (uint64_t at = word * 0x9E3779B97F4A7C15ull >> 44, probes = 0; probes < SHADOWS; at++, probes++) {
        shadow *s = &shadows[at % SHADOWS];
        if (s->grid != grid_number) {
            *s = (shadow){.grid = grid_number, .word = word, .last = {{.block = -1}, {.block = -1}, {.block = -1}}};
            return s;
        }
        if (s->word == word) return s;
    }
    stop("a grid touches more than %d words", SHADOWS);
}

static void check_race(const grid *g, const instruction *in, uint64_t address, int32_t t, way now, bool shared) {
    static const char *const words[] = {"reads", "writes", "changes atomically"};
    // Shared memory of different blocks is different memory. Halves of a word are told apart, but not from the whole.
    const uint64_t word = type_bytes[in->type] == 2 ? (uint64_t)1 << 61 | address >> 1 : address >> 2;
    shadow *s = shadow_of(shared ? (uint64_t)1 << 62 | (uint64_t)g->block << 40 | word : word);
    const int32_t block = (int32_t)g->block;
    for (int before = READ; before < N_WAYS; before++) {
        const touch *other = &s->last[before];
        if (other->block < 0 || (before == (int)now && now != WRITE)) continue;
        const bool unordered = other->block != block || other->epoch == g->epoch;
        if (unordered && (other->block != block || other->thread != t || other->many))
            fault(g, in, "thread %d %s what thread %d of block %d %s", t, words[now], other->thread, other->block,
                  words[before]);
    }
    touch *mine = &s->last[now];
    const bool same = mine->block == block && mine->epoch == g->epoch;
    *mine = (touch){block, t, g->epoch, same && (mine->many || mine->thread != t)};
}

// Sectors: a request is one instruction of one warp for the n-th time; each 32-byte sector that its threads touch
// counts once. Threads of a warp need not be in step here, so the n-th time is counted by each for itself.
bool ptx_count_sectors;
static uint64_t *seen_sectors;
enum { SECTORS = 1 << 20 };

static bool first_time(uint64_t key) {
    if (!seen_sectors) seen_sectors = calloc(SECTORS, sizeof *seen_sectors);
    if (!seen_sectors) stop("out of memory");
    for (uint64_t at = key * 0x9E3779B97F4A7C15ull >> 44, probes = 0; probes < SECTORS; at++, probes++) {
        uint64_t *slot = &seen_sectors[at % SECTORS];
        if (*slot == key) return false;
        if (*slot == 0) return *slot = key, true;
    }
    stop("a grid touches more than %d sectors", SECTORS);
}

static void count_sector(const grid *g, const instruction *in, uint64_t address, int32_t t) {
    const uint64_t code = (uint64_t)(in - g->kernel->code);
    const uint64_t visit = g->thread[t].visits[code]++;
    const uint64_t request = ((code * 1000003u + visit) * 1000003u + g->block) * 1000003u + (uint64_t)t / 32;
    ptx_counters.sectors += first_time(request * 0x9E3779B97F4A7C15ull ^ address / 32);
}

static uint8_t nowhere[64];

// The host address of `bytes` at a kernel's address, or a harmless place and a fault.
static uint8_t *resolve(const grid *g, const instruction *in, uint64_t address, size_t bytes, int32_t t, way now) {
    if (address % bytes) {
        fault(g, in, "address %#llx is not aligned to %zu", (unsigned long long)address, bytes);
        return nowhere;
    }
    if (in->space == SPACE_PARAM)
        return address + bytes <= g->kernel->parameter_bytes ? g->parameters + address : nowhere;
    if (in->space == SPACE_LOCAL) {
        if (address + bytes <= g->kernel->local_bytes) return g->thread[t].local + address;
        fault(g, in, "outside local memory");
        return nowhere;
    }
    if (in->space == SPACE_SHARED) {
        const bool dynamic = address >= SHARED_DYNAMIC;
        const bool inside = dynamic ? address - SHARED_DYNAMIC + bytes <= g->dynamic_shared
                                    : address >= SHARED_GUARD && address + bytes <= g->kernel->shared_bytes;
        if (!inside) {
            fault(g, in, "shared address %llu is outside", (unsigned long long)address);
            return nowhere;
        }
        check_race(g, in, address, t, now, true);
        return dynamic ? g->dynamic + (address - SHARED_DYNAMIC) : g->shared + address;
    }
    *(now == READ ? &ptx_counters.bytes_loaded : &ptx_counters.bytes_stored) += bytes;
    if (ptx_count_sectors) count_sector(g, in, address, t);
    uint8_t *at = (uint8_t *)(uintptr_t)address;
    for (int k = 0; k < n_regions; k++)
        if (at >= regions[k].start && at + bytes <= regions[k].start + regions[k].bytes) {
            check_race(g, in, address, t, now, false);
            return at;
        }
    fault(g, in, "thread %d: global address %p is in no allocation", t, (void *)at);
    return nowhere;
}

// ---------------------------------------------------------------------------------------------------
// Arithmetic. Registers hold 64 bits; a value of n bits stands in the lower n, zero-extended.

static float as_f32(uint64_t v) {
    const uint32_t bits = (uint32_t)v;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint64_t from_f32(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof f);
    return bits;
}

static bool is_signed(type t) {
    return t >= S8 && t <= S64;
}

static int64_t as_signed(uint64_t v, type t) {
    const unsigned shift = 64 - 8 * type_bytes[t];
    return (int64_t)(v << shift) >> shift;
}

static uint64_t trimmed(uint64_t v, type t) {
    const unsigned bits = t == PRED ? 1 : 8 * type_bytes[t];
    return bits == 64 ? v : v & (((uint64_t)1 << bits) - 1);
}

static uint64_t float_op(const instruction *in, uint64_t x, uint64_t y, uint64_t z) {
    const float a = as_f32(x), b = as_f32(y), c = as_f32(z);
    switch (in->op) {
    case OP_ADD:
        return from_f32(a + b);
    case OP_SUB:
        return from_f32(a - b);
    case OP_MUL:
        return from_f32(a * b);
    case OP_FMA:
        return from_f32(fmaf(a, b, c));
    case OP_DIV:
        return from_f32(a / b);
    case OP_RCP:
        return from_f32(1.0f / a);
    case OP_SQRT:
        return from_f32(sqrtf(a));
    case OP_NEG:
        return x ^ 0x80000000u;
    case OP_ABS:
        return x & 0x7fffffffu;
    case OP_MAX: // a NaN gives way to the other
        return from_f32(fmaxf(a, b));
    case OP_MIN:
        return from_f32(fminf(a, b));
    default:
        stop("no float32 form of operation %d, line %d", in->op, in->line);
    }
}

static uint64_t integer_op(const instruction *in, uint64_t x, uint64_t y, uint64_t z, uint64_t width) {
    const bool s = is_signed(in->type);
    const int64_t a = as_signed(x, in->type), b = as_signed(y, in->type);
    const unsigned bits = 8 * type_bytes[in->type];
    x = trimmed(x, in->type), y = in->op == OP_SHL || in->op == OP_SHR ? trimmed(y, U32) : trimmed(y, in->type);
    switch (in->op) {
    case OP_ADD:
        return x + y;
    case OP_SUB:
        return x - y;
    case OP_MUL:
        return x * y;
    case OP_MAD:
        return x * y + z;
    case OP_MUL_WIDE:
        return s ? (uint64_t)(a * b) : x * y;
    case OP_MUL_HI:
        if (bits == 64) stop("mul.hi of 64 bits is not known");
        return s ? (uint64_t)(a * b >> bits) : x * y >> bits;
    case OP_DIV:
    case OP_REM:
        if (y == 0) return UINT64_MAX;
        if (in->op == OP_REM) return s ? (uint64_t)(a % b) : x % y;
        return s ? (uint64_t)(a / b) : x / y;
    case OP_NEG:
        return 0 - x;
    case OP_ABS:
        return a < 0 ? 0 - x : x;
    case OP_NOT:
        return ~x;
    case OP_AND:
        return x & y;
    case OP_OR:
        return x | y;
    case OP_XOR:
        return x ^ y;
    case OP_SHL:
        return y >= bits ? 0 : x << y;
    case OP_SHR:
        if (s) return (uint64_t)(a >> (y >= bits ? bits - 1 : y));
        return y >= bits ? 0 : x >> y;
    case OP_SHF:
        return (y << 32 | x) << (z & 31) >> 32;
    case OP_MIN:
        return s ? (uint64_t)(a < b ? a : b) : x < y ? x : y;
    case OP_MAX:
        return s ? (uint64_t)(a > b ? a : b) : x > y ? x : y;
    case OP_BFI: { // inserts x into y at bit z, `width` bits
        const uint64_t mask = width >= 64 ? UINT64_MAX : (((uint64_t)1 << width) - 1) << z;
        return (y & ~mask) | (x << z & mask);
    }
    default:
        stop("no integer form of operation %d, line %d", in->op, in->line);
    }
}

static bool compare(const instruction *in, uint64_t x, uint64_t y) {
    int sign;
    if (in->type == F32) {
        const float a = as_f32(x), b = as_f32(y);
        if (isnan(a) || isnan(b)) return in->unordered;
        sign = (a > b) - (a < b);
    } else if (is_signed(in->type)) {
        const int64_t a = as_signed(x, in->type), b = as_signed(y, in->type);
        sign = (a > b) - (a < b);
    } else {
        const uint64_t a = trimmed(x, in->type), b = trimmed(y, in->type);
        sign = (a > b) - (a < b);
    }
    const bool results[] = {sign == 0, sign != 0, sign<0, sign <= 0, sign> 0, sign >= 0};
    return results[in->comparison];
}

// By the format's definition.
static float half_value(uint16_t half) {
    const int exponent = half >> 10 & 31, mantissa = half & 1023;
    const double magnitude = exponent == 31  ? (mantissa ? (double)NAN : (double)INFINITY)
                             : exponent == 0 ? ldexp(mantissa, -24)
                                             : ldexp(1024 + mantissa, exponent - 25);
    return (float)copysign(magnitude, half & 0x8000 ? -1.0 : 1.0);
}

static uint64_t convert(const instruction *in, uint64_t v) {
    if (in->type == F32 && in->from == F32) return v;
    if (in->type == F32 && in->from == F16) return from_f32(half_value((uint16_t)v));
    if (in->type == F16 || in->from == F16) stop("cvt of line %d is not known", in->line);
    if (in->type == F32)
        return from_f32(is_signed(in->from) ? (float)as_signed(v, in->from) : (float)trimmed(v, in->from));
    if (in->from == F32 && (in->type == S32 || in->type == S64)) {
        // Towards 0, clamped; NaN gives 0 (32 bits) or the smallest number (64 bits).
        const float x = as_f32(v), most = in->type == S32 ? 0x1p31f : 0x1p63f;
        const int64_t least = in->type == S32 ? INT32_MIN : INT64_MIN;
        if (isnan(x)) return in->type == S32 ? 0 : (uint64_t)INT64_MIN;
        if (x >= most) return in->type == S32 ? INT32_MAX : INT64_MAX;
        return trimmed(x < -most ? (uint64_t)least : (uint64_t)(int64_t)x, in->type);
    }
    if (in->from == F32 || in->from == F64 || in->type == F64) stop("cvt of line %d is not known", in->line);
    return trimmed(is_signed(in->from) ? (uint64_t)as_signed(v, in->from) : trimmed(v, in->from), in->type);
}

// ---------------------------------------------------------------------------------------------------
// Threads

static uint64_t value_of(const grid *g, uint32_t t, const operand *o) {
    switch (o->kind) {
    case REGISTER:
        return g->thread[t].registers[o->reg] + o->value;
    case IMMEDIATE:
        return o->value;
    case TID:
        return t;
    case NTID:
        return g->threads;
    case CTAID:
        return g->block;
    case NCTAID:
        return g->blocks;
    }
    return 0;
}

static void access_memory(grid *g, uint32_t t, const instruction *in) {
    const bool store = in->op == OP_ST;
    const operand *place_of = store ? &in->dst[0] : &in->src[0];
    uint64_t address = value_of(g, t, place_of);
    if (in->space == SPACE_SHARED) address = (uint32_t)address;
    const size_t bytes = type_bytes[in->type];
    if (in->n_vector > 1 && address % (bytes * (size_t)in->n_vector)) fault(g, in, "vector access is not aligned");
    for (int v = 0; v < in->n_vector; v++) {
        const bool atomic = in->op == OP_ATOM_MAX || in->op == OP_ATOM_ADD;
        uint8_t *at = resolve(g, in, address + (size_t)v * bytes, bytes, (int32_t)t,
                              atomic  ? ATOMIC
                              : store ? WRITE
                                      : READ);
        uint64_t value = 0;
        memcpy(&value, at, bytes);
        if (!store)
            g->thread[t].registers[in->dst[v].reg] =
                is_signed(in->type) ? trimmed((uint64_t)as_signed(value, in->type), in->type) : value;
        if (store) value = value_of(g, t, &in->src[v]);
        if (atomic) {
            const instruction combine = {.op = in->op == OP_ATOM_MAX ? OP_MAX : OP_ADD, .type = in->type};
            value = integer_op(&combine, value, value_of(g, t, &in->src[1]), 0, 0);
        }
        if (store || atomic) memcpy(at, &value, bytes);
    }
}

// One instruction; false where the thread must wait or is done.
static bool execute(grid *g, uint32_t t) {
    thread *self = &g->thread[t];
    if (self->pc >= g->kernel->n_code) stop("%s runs off its end", g->kernel->name);
    const instruction *in = &g->kernel->code[self->pc++];
    ptx_counters.instructions++;
    if (in->guard >= 0 && (self->registers[in->guard] != 0) == in->guard_not) return true;
    const uint64_t x = value_of(g, t, &in->src[0]), y = value_of(g, t, &in->src[1]);
    uint64_t *dst = &self->registers[in->dst[0].reg];
    switch (in->op) {
    case OP_BRA:
        self->pc = in->target;
        return true;
    case OP_CALL:
        if (self->depth == DEEPEST) stop("calls deeper than %d", DEEPEST);
        self->callers[self->depth++] = self->pc;
        self->pc = in->target;
        return true;
    case OP_RET:
        if (self->depth > 0) {
            self->pc = self->callers[--self->depth];
            return true;
        }
        self->done = true;
        return false;
    case OP_BAR:
        self->waiting = true;
        return false;
    case OP_LD:
    case OP_ST:
    case OP_ATOM_MAX:
    case OP_ATOM_ADD:
        access_memory(g, t, in);
        return true;
    case OP_MOV:
    case OP_CVTA:
        *dst = trimmed(x, in->type);
        return true;
    case OP_CVT:
        *dst = convert(in, x);
        return true;
    case OP_SETP:
        *dst = compare(in, x, y);
        return true;
    case OP_SELP:
        *dst = trimmed(value_of(g, t, &in->src[2]) ? x : y, in->type);
        return true;
    default:
        break;
    }
    const uint64_t z = value_of(g, t, &in->src[2]);
    if (in->type == F32)
        *dst = float_op(in, x, y, z);
    else
        *dst = trimmed(integer_op(in, x, y, z, value_of(g, t, &in->src[3])), in->op == OP_MUL_WIDE ? U64 : in->type);
    if (in->op == OP_MUL_WIDE) *dst = trimmed(*dst, type_bytes[in->type] == 2 ? U32 : U64);
    return true;
}

// The order in which n take their turns.
static void make_order(uint32_t *order, uint32_t n, uint64_t salt) {
    for (uint32_t k = 0; k < n; k++) order[k] = ptx_order == 1 ? n - 1 - k : k;
    if (ptx_order < 2) return;
    uint64_t state = ptx_order + salt * 0x9E3779B97F4A7C15ull;
    for (uint32_t k = n; k > 1; k--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const uint32_t j = (uint32_t)((state >> 33) % k), swap = order[k - 1];
        order[k - 1] = order[j];
        order[j] = swap;
    }
}

static void run_block(grid *g, uint32_t *order) {
    const ptx_kernel *k = g->kernel;
    memset(g->shared, 0xff, k->shared_bytes); // NaN until written
    memset(g->dynamic, 0xff, g->dynamic_shared);
    for (uint32_t t = 0; t < g->threads; t++) {
        memset(g->thread[t].registers, 0xee, (size_t)k->n_registers * sizeof(uint64_t));
        memset(g->thread[t].local, 0xff, k->local_bytes);
        g->thread[t].pc = k->start;
        g->thread[t].depth = 0;
        g->thread[t].waiting = g->thread[t].done = false;
    }
    g->epoch = 0;
    for (uint32_t done = 0; done < g->threads; g->epoch++) {
        uint32_t waiting = 0;
        done = 0;
        make_order(order, g->threads, g->block * 1000003u + g->epoch);
        for (uint32_t i = 0; i < g->threads; i++) {
            thread *self = &g->thread[order[i]];
            self->waiting = false;
            while (!self->done && execute(g, order[i])) {
            }
            done += self->done;
            waiting += self->waiting;
        }
        if (waiting > 0 && done > 0)
            fault(g, &k->code[k->start], "%u threads wait at a barrier that %u have left", waiting, done);
    }
}

void ptx_run(ptx_kernel *k, uint32_t blocks, uint32_t threads, size_t dynamic_shared, void **arguments) {
    grid g = {.kernel = k, .blocks = blocks, .threads = threads, .dynamic_shared = dynamic_shared};
    grid_number++;
    if (seen_sectors) memset(seen_sectors, 0, SECTORS * sizeof *seen_sectors);
    g.parameters = calloc(1, k->parameter_bytes + 1);
    g.shared = calloc(1, k->shared_bytes + 1);
    g.dynamic = calloc(1, dynamic_shared + 1);
    g.thread = calloc(threads, sizeof *g.thread);
    uint32_t *order = calloc(threads, sizeof *order), *block_order = calloc(blocks, sizeof *block_order);
    if (!g.parameters || !g.shared || !g.dynamic || !g.thread || !order || !block_order) stop("out of memory");
    for (int p = 0; p < k->n_parameters; p++)
        memcpy(g.parameters + k->parameter_at[p], arguments[p], k->parameter_size[p]);
    for (uint32_t t = 0; t < threads; t++) {
        g.thread[t].registers = calloc((size_t)k->n_registers + 1, sizeof(uint64_t));
        g.thread[t].local = calloc(1, k->local_bytes + 1);
        g.thread[t].visits = calloc((size_t)k->n_code, sizeof(uint32_t));
        if (!g.thread[t].visits || !g.thread[t].registers || !g.thread[t].local) stop("out of memory");
    }
    make_order(block_order, blocks, grid_number);
    for (uint32_t b = 0; b < blocks; b++) {
        g.block = block_order[b];
        run_block(&g, order);
    }
    for (uint32_t t = 0; t < threads; t++) {
        free(g.thread[t].registers);
        free(g.thread[t].local);
        free(g.thread[t].visits);
    }
    free(g.parameters);
    free(g.shared);
    free(g.dynamic);
    free(g.thread);
    free(order);
    free(block_order);
}
