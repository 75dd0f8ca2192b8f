"""Asks perdition's own libraries, for the tests: reads JSON questions, one a
line, and prints JSON answers.

{"read": FILE, "flags": N}    the words that vanessa_adt makes of a file
{"map": FILE, "keys": [...]}  what a map of regular expressions answers
"""
import ctypes
import ctypes.util
import glob
import json
import sys

adt = ctypes.CDLL("libvanessa_adt.so.1", mode=ctypes.RTLD_GLOBAL)
adt.vanessa_config_file_read.restype = ctypes.c_void_p
adt.vanessa_config_file_read.argtypes = [ctypes.c_char_p, ctypes.c_uint]
adt.vanessa_dynamic_array_get_count.restype = ctypes.c_size_t
adt.vanessa_dynamic_array_get_count.argtypes = [ctypes.c_void_p]
adt.vanessa_dynamic_array_get_element.restype = ctypes.c_char_p
adt.vanessa_dynamic_array_get_element.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def words(name, flags):
    a = adt.vanessa_config_file_read(name.encode(), flags)
    got = [adt.vanessa_dynamic_array_get_element(a, i) for i in range(adt.vanessa_dynamic_array_get_count(a))]
    return [None if w is None else w.decode() for w in got]


def answers(name, keys):
    lib = ctypes.CDLL((glob.glob("/usr/lib/*/libperditiondb_posix_regex.so.0") + glob.glob("/usr/lib/libperditiondb_posix_regex.so.0"))[0])
    lib.dbserver_init.argtypes = [ctypes.c_char_p]
    lib.dbserver_get.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_int)]
    if lib.dbserver_init(name.encode()) != 0:
        raise SystemExit("the map was not read: " + name)
    got = []
    for key in keys:
        value, length = ctypes.c_char_p(), ctypes.c_int()
        status = lib.dbserver_get(key.encode(), None, ctypes.byref(value), ctypes.byref(length))
        got.append(value.value.decode() if status == 0 else None)
    lib.dbserver_fini()
    return got


for line in sys.stdin:
    question = json.loads(line)
    if "read" in question:
        print(json.dumps(words(question["read"], question["flags"])))
    else:
        print(json.dumps(answers(question["map"], question["keys"])))
