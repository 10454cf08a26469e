# SPDX-License-Identifier: MIT
# cmake -DINPUT=text -DOUTPUT=c -DHEADER=include -DSYMBOL=name -P embed_text.cmake: a text as a C string.
file(READ "${INPUT}" hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "0x0a," "0x0a,\n" bytes "${bytes}")
file(WRITE "${OUTPUT}" "/* Generated: do not edit. */\n#include \"${HEADER}\"\n\nconst char ${SYMBOL}[] = {\n${bytes}0x00};\n")
