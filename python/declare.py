"""Writes the ctypes declarations of a C header of plain structs, enumerations and HB_API functions; stops at anything that it does not
understand, so that what is written is complete.

usage: declare.py OUT HEADER...          the headers in the order of their inclusion"""

import pathlib
import re
import sys

SIMPLE = {
    "bool": "ctypes.c_bool", "char": "ctypes.c_char", "double": "ctypes.c_double", "float": "ctypes.c_float", "int": "ctypes.c_int",
    "int32_t": "ctypes.c_int32", "int64_t": "ctypes.c_int64", "uint8_t": "ctypes.c_uint8", "uint32_t": "ctypes.c_uint32",
    "uint64_t": "ctypes.c_uint64", "size_t": "ctypes.c_size_t",
}


class Header:
    def __init__(self):
        self.lines, self.structs, self.enums, self.opaque, self.constants = [], set(), set(), set(), {}

    def type(self, text):
        """A C type, without its name, as ctypes'."""
        words = text.replace("*", " * ").split()
        stars = words.count("*")
        names = [word for word in words if word not in ("const", "*", "struct")]
        if len(names) != 1:
            sys.exit(f"declare.py: what is '{text}'?")
        name = names[0]
        if name == "void":
            return "None" if stars == 0 else "ctypes.c_void_p"
        if name == "char" and stars > 0:
            base, stars = "ctypes.c_char_p", stars - 1
        elif name in SIMPLE:
            base = SIMPLE[name]
        elif name in self.enums:
            base = "ctypes.c_int"
        elif name in self.structs:
            base = name
        elif (name in self.opaque or name == "FILE") and stars > 0:
            return "ctypes.c_void_p" if stars == 1 else "ctypes.POINTER(ctypes.c_void_p)"
        else:
            sys.exit(f"declare.py: what is '{name}' in '{text}'?")
        for _ in range(stars):
            base = f"ctypes.POINTER({base})"
        return base

    def parameter(self, text):
        """(name, type) of a parameter or a field."""
        text = text.strip()
        pointer = re.fullmatch(r"(.*)\(\*(\w+)\)\((.*)\)", text, re.S)
        if pointer:
            types = [self.type(pointer[1])] + [self.parameter(p)[1] for p in self.split(pointer[3])]
            return pointer[2], f"ctypes.CFUNCTYPE({', '.join(types)})"
        array = re.fullmatch(r"(.*?)(\w+)\[(\w*)\]", text, re.S)
        if array:
            return array[2], (self.type(array[1]), array[3])
        name = re.search(r"(\w+)$", text)
        if not name or not text[: name.start()].strip():
            sys.exit(f"declare.py: what is '{text}'?")
        return name[1], self.type(text[: name.start()])

    @staticmethod
    def split(text, by=","):
        """At commas outside brackets."""
        parts, depth, part = [], 0, ""
        for c in text:
            depth += (c == "(") - (c == ")")
            if c == by and depth == 0:
                parts.append(part)
                part = ""
            else:
                part += c
        parts.append(part)
        return [p for p in map(str.strip, parts) if p and p != "void"]

    def struct(self, name, body):
        fields = []
        for line in self.split(body, ";"):
            first, *more = self.split(line)
            field, kind = self.parameter(first)
            fields.append((field, kind))
            start = first[: first.rindex(field)].rstrip(" *") + " " if more else ""
            fields += [self.parameter(start + other) for other in more]
        self.structs.add(name)
        self.lines.append(f"\n\nclass {name}(ctypes.Structure):\n    _fields_ = [")
        for field, kind in fields:
            text = f"{kind[0]} * {self.constants.get(kind[1], kind[1])}" if isinstance(kind, tuple) else kind
            self.lines.append(f'        ("{field}", {text}),')
        self.lines.append("    ]")

    def function(self, result, name, parameters):
        kinds = []
        for parameter in self.split(parameters):
            kind = self.parameter(parameter)[1]
            if isinstance(kind, tuple):  # an array parameter is a pointer
                kind = "ctypes.c_char_p" if kind[0] == "ctypes.c_char" else f"ctypes.POINTER({kind[0]})"
            kinds.append(kind)
        self.lines.append(f'    ("{name}", {self.type(result)}, [{", ".join(kinds)}]),')

    def read(self, text):
        text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)
        for name, value in re.findall(r'^#define (\w+) +(\d+|"[^"]*")[ \t]*$', text, re.M):
            self.constants[name] = value
            self.lines.append(f"{name} = {value}")
        text = re.sub(r"^#.*?(?<!\\)$", "", text, flags=re.M)
        text = re.sub(r'extern "C" \{|^\}$', "", text, flags=re.M)
        functions = []
        for statement in re.findall(r"[^;{]*(?:\{[^}]*\}[^;]*)?;", text):
            statement = " ".join(statement.split()).rstrip(";").strip()
            if match := re.fullmatch(r"typedef enum \{(.*)\} (\w+)", statement):
                self.enums.add(match[2])
                value = -1
                for word in self.split(match[1]):
                    name, _, given = map(str.strip, word.partition("="))
                    value = int(given) if given else value + 1
                    self.lines.append(f"{name} = {value}")
            elif match := re.fullmatch(r"typedef struct \{(.*)\} (\w+)", statement):
                self.struct(match[2], match[1])
            elif match := re.fullmatch(r"typedef struct (\w+) (\w+)", statement):
                self.opaque.add(match[2])
            elif match := re.fullmatch(r"HB_API (.*?)(\w+)\((.*)\)", statement):
                functions.append((match[1].strip(), match[2], match[3]))
            elif statement and "static inline" not in statement:
                sys.exit(f"declare.py: what is '{statement}'?")
        return functions


def main():
    header = Header()
    functions = []
    for path in sys.argv[2:]:
        functions += header.read(pathlib.Path(path).read_text())
    header.lines.append("\nFUNCTIONS = [  # name, result, arguments")
    for function in functions:
        header.function(*function)
    header.lines.append("]")
    structs = ", ".join(sorted(header.structs))
    text = '"""ctypes declarations, written from hebbes.h by declare.py."""\n\nimport ctypes\n\n' + "\n".join(header.lines)
    pathlib.Path(sys.argv[1]).write_text(text + f"\n\nSTRUCTS = [{structs}]\n")


main()
